-- Create the links in the list that do not exist yet.
INSERT INTO link_user_leave_administrator_org_unit (user_leave_administrator_id, organization_unit_id)
SELECT DISTINCT administrator_id, unit_id FROM wanted_link WHERE unit_id IS NOT NULL
ON CONFLICT DO NOTHING

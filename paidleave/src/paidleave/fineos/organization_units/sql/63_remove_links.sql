-- Remove the links of these administrators that are not in the list.
DELETE FROM link_user_leave_administrator_org_unit AS link
USING administrator
WHERE link.user_leave_administrator_id = administrator.administrator_id
  AND NOT EXISTS (
      SELECT FROM wanted_link AS wanted
      WHERE wanted.administrator_id = link.user_leave_administrator_id AND wanted.unit_id = link.organization_unit_id
  )

-- A database at revision 0009, as the last version under the old name (Longshore) left it, with a few rows.
-- Written by pg_dump --inserts after that version's own db-migrate-up; settings and comments of pg_dump are left out.
CREATE TABLE public.address (
    address_id uuid NOT NULL,
    address_type_id integer,
    address_line_one text,
    address_line_two text,
    city text,
    zip_code text,
    geo_state_id integer,
    geo_state_text text,
    country_id integer,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL
);
COMMENT ON TABLE public.address IS 'Created by Longshore, which found no such table of the API';
CREATE TABLE public.dor_imported_file (
    digest text NOT NULL,
    name text NOT NULL,
    kind text NOT NULL,
    import_log_id integer,
    line_count bigint,
    imported_at timestamp with time zone DEFAULT now() NOT NULL
);
COMMENT ON COLUMN public.dor_imported_file.digest IS 'SHA-256 of the plain text, hexadecimal';
CREATE TABLE public.dor_rejected_line (
    dor_rejected_line_id bigint NOT NULL,
    import_log_id integer,
    file_name text NOT NULL,
    line_number bigint NOT NULL,
    record_kind text,
    field text,
    reason text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL
);
ALTER TABLE public.dor_rejected_line ALTER COLUMN dor_rejected_line_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.dor_rejected_line_dor_rejected_line_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE public.employee (
    employee_id uuid NOT NULL,
    tax_identifier_id uuid,
    title_id integer,
    race_id integer,
    marital_status_id integer,
    gender_id integer,
    occupation_id integer,
    education_level_id integer,
    payment_method_id integer,
    first_name text NOT NULL,
    last_name text NOT NULL,
    middle_name text,
    other_name text,
    email_address text,
    phone_number text,
    cell_phone_number text,
    preferred_comm_method_type text,
    date_of_birth date,
    date_of_death date,
    fineos_customer_number text,
    latest_import_log_id integer,
    ctr_vendor_customer_code text,
    ctr_address_pair_id uuid,
    mass_id_number text,
    out_of_state_id_number text,
    fineos_employee_first_name text,
    fineos_employee_middle_name text,
    fineos_employee_last_name text,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL
);
COMMENT ON TABLE public.employee IS 'Created by Longshore, which found no such table of the API';
CREATE TABLE public.employee_occupation (
    employee_occupation_id uuid NOT NULL,
    employee_id uuid NOT NULL,
    employer_id uuid NOT NULL,
    organization_unit_id uuid,
    job_title text,
    employment_status text,
    manager_id text,
    worksite_id text,
    occupation_qualifier text,
    date_of_hire date,
    date_job_ended date,
    hours_worked_per_week numeric,
    days_worked_per_week numeric,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL
);
COMMENT ON TABLE public.employee_occupation IS 'Created by Longshore, which found no such table of the API';
CREATE TABLE public.employee_push_to_fineos_queue (
    employee_push_to_fineos_queue_id uuid CONSTRAINT employee_push_to_fineos_que_employee_push_to_fineos_qu_not_null NOT NULL,
    employee_id uuid,
    employer_id uuid,
    action text,
    modified_at timestamp with time zone,
    process_id integer,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    attempts integer DEFAULT 0 NOT NULL,
    claimed_by text,
    lease_expires_at timestamp with time zone,
    last_error text
);
COMMENT ON TABLE public.employee_push_to_fineos_queue IS 'Created by Longshore, which found no such table of the API';
CREATE TABLE public.employer (
    employer_id uuid NOT NULL,
    account_key text,
    employer_fein text NOT NULL,
    employer_name text,
    employer_dba text,
    family_exemption boolean,
    medical_exemption boolean,
    exemption_commence_date date,
    exemption_cease_date date,
    dor_updated_date timestamp with time zone,
    latest_import_log_id integer,
    fineos_employer_id integer,
    industry_code_id integer,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL
);
COMMENT ON TABLE public.employer IS 'Created by Longshore, which found no such table of the API';
CREATE TABLE public.employer_push_to_fineos_queue (
    employer_push_to_fineos_queue_id uuid CONSTRAINT employer_push_to_fineos_que_employer_push_to_fineos_qu_not_null NOT NULL,
    employer_id uuid,
    action text,
    modified_at timestamp with time zone,
    process_id integer,
    family_exemption boolean,
    medical_exemption boolean,
    exemption_commence_date date,
    exemption_cease_date date,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    attempts integer DEFAULT 0 NOT NULL,
    claimed_by text,
    lease_expires_at timestamp with time zone,
    last_error text
);
COMMENT ON TABLE public.employer_push_to_fineos_queue IS 'Created by Longshore, which found no such table of the API';
CREATE TABLE public.employer_quarterly_contribution (
    employer_id uuid NOT NULL,
    filing_period date NOT NULL,
    employer_total_pfml_contribution numeric CONSTRAINT employer_quarterly_contribu_employer_total_pfml_contri_not_null NOT NULL,
    pfm_account_id text NOT NULL,
    dor_received_date timestamp with time zone,
    dor_updated_date timestamp with time zone,
    latest_import_log_id integer,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL
);
COMMENT ON TABLE public.employer_quarterly_contribution IS 'Created by Longshore, which found no such table of the API';
CREATE TABLE public.fineos_rejected_row (
    fineos_rejected_row_id bigint NOT NULL,
    import_log_id integer,
    file_name text NOT NULL,
    line_number bigint NOT NULL,
    field text,
    reason text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL
);
ALTER TABLE public.fineos_rejected_row ALTER COLUMN fineos_rejected_row_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.fineos_rejected_row_fineos_rejected_row_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE public.import_log (
    import_log_id integer NOT NULL,
    source text,
    import_type text,
    status text,
    report text,
    start timestamp with time zone,
    "end" timestamp with time zone,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL
);
COMMENT ON TABLE public.import_log IS 'Created by Longshore, which found no such table of the API';
CREATE SEQUENCE public.import_log_import_log_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.import_log_import_log_id_seq OWNED BY public.import_log.import_log_id;
CREATE TABLE public.import_log_report_queue (
    import_log_report_queue_id uuid NOT NULL,
    import_log_id integer NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL
);
COMMENT ON TABLE public.import_log_report_queue IS 'Created by Longshore, which found no such table of the API';
CREATE TABLE public.link_employer_address (
    employer_id uuid NOT NULL,
    address_id uuid NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL
);
COMMENT ON TABLE public.link_employer_address IS 'Created by Longshore, which found no such table of the API';
CREATE TABLE public.lk_address_type (
    address_type_id integer NOT NULL,
    address_type_description text NOT NULL
);
COMMENT ON TABLE public.lk_address_type IS 'Created by Longshore, which found no such table of the API';
CREATE TABLE public.lk_country (
    country_id integer NOT NULL,
    country_description text NOT NULL
);
COMMENT ON TABLE public.lk_country IS 'Created by Longshore, which found no such table of the API';
CREATE TABLE public.lk_education_level (
    education_level_id integer NOT NULL,
    education_level_description text NOT NULL
);
COMMENT ON TABLE public.lk_education_level IS 'Created by Longshore, which found no such table of the API';
CREATE TABLE public.lk_gender (
    gender_id integer NOT NULL,
    gender_description text NOT NULL,
    fineos_gender_description text
);
COMMENT ON TABLE public.lk_gender IS 'Created by Longshore, which found no such table of the API';
CREATE TABLE public.lk_geo_state (
    geo_state_id integer NOT NULL,
    geo_state_description text NOT NULL
);
COMMENT ON TABLE public.lk_geo_state IS 'Created by Longshore, which found no such table of the API';
CREATE TABLE public.lk_industry_code (
    industry_code_id integer NOT NULL,
    industry_code_description text NOT NULL
);
COMMENT ON TABLE public.lk_industry_code IS 'Created by Longshore, which found no such table of the API';
CREATE TABLE public.lk_marital_status (
    marital_status_id integer NOT NULL,
    marital_status_description text NOT NULL
);
COMMENT ON TABLE public.lk_marital_status IS 'Created by Longshore, which found no such table of the API';
CREATE TABLE public.lk_occupation (
    occupation_id integer NOT NULL,
    occupation_description text NOT NULL
);
COMMENT ON TABLE public.lk_occupation IS 'Created by Longshore, which found no such table of the API';
CREATE TABLE public.lk_payment_method (
    payment_method_id integer NOT NULL,
    payment_method_description text NOT NULL
);
COMMENT ON TABLE public.lk_payment_method IS 'Created by Longshore, which found no such table of the API';
CREATE TABLE public.lk_race (
    race_id integer NOT NULL,
    race_description text NOT NULL
);
COMMENT ON TABLE public.lk_race IS 'Created by Longshore, which found no such table of the API';
CREATE TABLE public.lk_title (
    title_id integer NOT NULL,
    title_description text NOT NULL
);
COMMENT ON TABLE public.lk_title IS 'Created by Longshore, which found no such table of the API';
CREATE TABLE public.longshore_alembic_version (
    version_num character varying(32) NOT NULL
);
CREATE TABLE public.longshore_lease (
    name text NOT NULL,
    holder text NOT NULL,
    acquired_at timestamp with time zone DEFAULT now() NOT NULL,
    renewed_at timestamp with time zone DEFAULT now() NOT NULL,
    expires_at timestamp with time zone NOT NULL
);
CREATE TABLE public.organization_unit (
    organization_unit_id uuid NOT NULL,
    fineos_id text,
    name text NOT NULL,
    employer_id uuid NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL
);
COMMENT ON TABLE public.organization_unit IS 'Created by Longshore, which found no such table of the API';
CREATE TABLE public.processed_object (
    source text NOT NULL,
    uri text NOT NULL,
    version text NOT NULL,
    processed_at timestamp with time zone DEFAULT now() NOT NULL
);
CREATE TABLE public.tax_identifier (
    tax_identifier_id uuid NOT NULL,
    tax_identifier text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL
);
COMMENT ON TABLE public.tax_identifier IS 'Created by Longshore, which found no such table of the API';
CREATE TABLE public.wages_and_contributions (
    wage_and_contribution_id uuid NOT NULL,
    account_key text NOT NULL,
    filing_period date NOT NULL,
    employee_id uuid NOT NULL,
    employer_id uuid NOT NULL,
    is_independent_contractor boolean NOT NULL,
    is_opted_in boolean NOT NULL,
    employee_ytd_wages numeric NOT NULL,
    employee_qtr_wages numeric NOT NULL,
    employee_med_contribution numeric NOT NULL,
    employer_med_contribution numeric NOT NULL,
    employee_fam_contribution numeric NOT NULL,
    employer_fam_contribution numeric NOT NULL,
    latest_import_log_id integer,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL
);
COMMENT ON TABLE public.wages_and_contributions IS 'Created by Longshore, which found no such table of the API';
CREATE TABLE public.wages_and_contributions_history (
    wages_and_contributions_history_id uuid CONSTRAINT wages_and_contributions_his_wages_and_contributions_hi_not_null NOT NULL,
    wage_and_contribution_id uuid CONSTRAINT wages_and_contributions_histo_wage_and_contribution_id_not_null NOT NULL,
    is_independent_contractor boolean CONSTRAINT wages_and_contributions_hist_is_independent_contractor_not_null NOT NULL,
    is_opted_in boolean NOT NULL,
    employee_ytd_wages numeric NOT NULL,
    employee_qtr_wages numeric NOT NULL,
    employee_med_contribution numeric CONSTRAINT wages_and_contributions_hist_employee_med_contribution_not_null NOT NULL,
    employer_med_contribution numeric CONSTRAINT wages_and_contributions_hist_employer_med_contribution_not_null NOT NULL,
    employee_fam_contribution numeric CONSTRAINT wages_and_contributions_hist_employee_fam_contribution_not_null NOT NULL,
    employer_fam_contribution numeric CONSTRAINT wages_and_contributions_hist_employer_fam_contribution_not_null NOT NULL,
    import_log_id integer,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL
);
COMMENT ON TABLE public.wages_and_contributions_history IS 'Created by Longshore, which found no such table of the API';
ALTER TABLE ONLY public.import_log ALTER COLUMN import_log_id SET DEFAULT nextval('public.import_log_import_log_id_seq'::regclass);
INSERT INTO public.employee VALUES
	('22222222-2222-4222-8222-222222222222', '33333333-3333-4333-8333-333333333333', NULL, NULL, NULL, NULL, NULL, NULL, NULL, 'Ada', 'Kept', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, '2026-11-29 03:29:31.322441+00', '2026-11-29 03:29:31.322441+00');
INSERT INTO public.employer VALUES
	('11111111-1111-4111-8111-111111111111', NULL, '100000001', 'Kept', NULL, NULL, NULL, NULL, NULL, NULL, 1, NULL, NULL, '2026-11-29 03:29:31.322441+00', '2026-11-29 03:29:31.322441+00');
INSERT INTO public.employer_push_to_fineos_queue VALUES
	('44444444-4444-4444-8444-444444444444', '11111111-1111-4111-8111-111111111111', 'INSERT', NULL, NULL, NULL, NULL, NULL, NULL, '2026-11-29 03:29:31.322441+00', '2026-11-29 03:29:31.322441+00', 2, NULL, NULL, NULL);
INSERT INTO public.import_log VALUES
	(1, 'DOR', 'Initial', 'success', '{}', '2026-11-01 00:30:00+00', NULL, '2026-11-29 03:29:31.322441+00', '2026-11-29 03:29:31.322441+00');
INSERT INTO public.lk_address_type VALUES
	(1, 'Home'),
	(2, 'Business'),
	(3, 'Mailing'),
	(4, 'Residential');
INSERT INTO public.lk_country VALUES
	(2, 'ABW'),
	(3, 'AFG'),
	(4, 'AGO'),
	(5, 'AIA'),
	(6, 'ALB'),
	(7, 'AND'),
	(8, 'ANT'),
	(9, 'ARE'),
	(10, 'ARG'),
	(11, 'ARM'),
	(12, 'ASM'),
	(13, 'ATA'),
	(14, 'ATF'),
	(15, 'ATG'),
	(16, 'AUS'),
	(17, 'AUT'),
	(18, 'AZE'),
	(19, 'BDI'),
	(20, 'BEL'),
	(21, 'BEN'),
	(22, 'BFA'),
	(23, 'BGD'),
	(24, 'BGR'),
	(25, 'BHR'),
	(26, 'BHS'),
	(27, 'BIH'),
	(28, 'BLM'),
	(29, 'BLR'),
	(30, 'BLZ'),
	(31, 'BMU'),
	(32, 'BOL'),
	(33, 'BRA'),
	(34, 'BRB'),
	(35, 'BRN'),
	(36, 'BTN'),
	(37, 'BVT'),
	(38, 'BWA'),
	(39, 'CAF'),
	(40, 'CAN'),
	(41, 'CCK'),
	(42, 'CHE'),
	(43, 'CHL'),
	(44, 'CHN'),
	(45, 'CIV'),
	(46, 'CMR'),
	(47, 'COD'),
	(48, 'COG'),
	(49, 'COK'),
	(50, 'COL'),
	(51, 'COM'),
	(52, 'CPV'),
	(53, 'CRI'),
	(54, 'CUB'),
	(55, 'CXR'),
	(56, 'CYM'),
	(57, 'CYP'),
	(58, 'CZE'),
	(59, 'DEU'),
	(60, 'DJI'),
	(61, 'DMA'),
	(62, 'DNK'),
	(63, 'DOM'),
	(64, 'DZA'),
	(65, 'ECU'),
	(66, 'EGY'),
	(67, 'ERI'),
	(68, 'ESH'),
	(69, 'ESP'),
	(70, 'EST'),
	(71, 'ETH'),
	(72, 'FIN'),
	(73, 'FJI'),
	(74, 'FLK'),
	(75, 'FRA'),
	(76, 'FRO'),
	(77, 'FSM'),
	(78, 'GAB'),
	(79, 'GBR'),
	(80, 'GEO'),
	(81, 'GGY'),
	(82, 'GHA'),
	(83, 'GIB'),
	(84, 'GIN'),
	(85, 'GLP'),
	(86, 'GMB'),
	(87, 'GNB'),
	(88, 'GNQ'),
	(89, 'GRC'),
	(90, 'GRD'),
	(91, 'GRL'),
	(92, 'GTM'),
	(93, 'GUF'),
	(94, 'GUM'),
	(95, 'GUY'),
	(96, 'HKG'),
	(97, 'HMD'),
	(98, 'HND'),
	(99, 'HRV'),
	(100, 'HTI'),
	(101, 'HUN'),
	(102, 'IDN'),
	(103, 'IMN'),
	(104, 'IND'),
	(105, 'IOT'),
	(106, 'IRL'),
	(107, 'IRN'),
	(108, 'IRQ'),
	(109, 'ISL'),
	(110, 'ISR'),
	(111, 'ITA'),
	(112, 'JAM'),
	(113, 'JEY'),
	(114, 'JOR'),
	(115, 'JPN'),
	(116, 'KAZ'),
	(117, 'KEN'),
	(118, 'KGZ'),
	(119, 'KHM'),
	(120, 'KIR'),
	(121, 'KNA'),
	(122, 'KOR'),
	(123, 'KWT'),
	(124, 'LAO'),
	(125, 'LBN'),
	(126, 'LBR'),
	(127, 'LBY'),
	(128, 'LCA'),
	(129, 'LIE'),
	(130, 'LKA'),
	(131, 'LSO'),
	(132, 'LTU'),
	(133, 'LUX'),
	(134, 'LVA'),
	(135, 'MAC'),
	(136, 'MAF'),
	(137, 'MAR'),
	(138, 'MCO'),
	(139, 'MDA'),
	(140, 'MDG'),
	(141, 'MDV'),
	(142, 'MEX'),
	(143, 'MHL'),
	(144, 'MKD'),
	(145, 'MLI'),
	(146, 'MLT'),
	(147, 'MMR'),
	(148, 'MNE'),
	(149, 'MNG'),
	(150, 'MNP'),
	(151, 'MOZ'),
	(152, 'MRT'),
	(153, 'MSR'),
	(154, 'MTQ'),
	(155, 'MUS'),
	(156, 'MWI'),
	(157, 'MYS'),
	(158, 'MYT'),
	(159, 'NAM'),
	(160, 'NCL'),
	(161, 'NER'),
	(162, 'NFK'),
	(163, 'NGA'),
	(164, 'NIC'),
	(165, 'NIU'),
	(166, 'NLD'),
	(167, 'NOR'),
	(168, 'NPL'),
	(169, 'NRU'),
	(170, 'NZL'),
	(171, 'OMN'),
	(172, 'PAK'),
	(173, 'PAN'),
	(174, 'PCN'),
	(175, 'PER'),
	(176, 'PHL'),
	(177, 'PLW'),
	(178, 'PNG'),
	(179, 'POL'),
	(180, 'PRI'),
	(181, 'PRK'),
	(182, 'PRT'),
	(183, 'PRY'),
	(184, 'PSE'),
	(185, 'PYF'),
	(186, 'QAT'),
	(187, 'REU'),
	(188, 'ROU'),
	(189, 'RUS'),
	(190, 'RWA'),
	(191, 'SAU'),
	(192, 'SDN'),
	(193, 'SEN'),
	(194, 'SGP'),
	(195, 'SGS'),
	(196, 'SHN'),
	(197, 'SJM'),
	(198, 'SLB'),
	(199, 'SLE'),
	(200, 'SLV'),
	(201, 'SMR'),
	(202, 'SOM'),
	(203, 'SPM'),
	(204, 'SRB'),
	(205, 'STP'),
	(206, 'SUR'),
	(207, 'SVK'),
	(208, 'SVN'),
	(209, 'SWE'),
	(210, 'SWZ'),
	(211, 'SYC'),
	(212, 'SYR'),
	(213, 'TCA'),
	(214, 'TCD'),
	(215, 'TGO'),
	(216, 'THA'),
	(217, 'TJK'),
	(218, 'TKL'),
	(219, 'TKM'),
	(220, 'TLS'),
	(221, 'TON'),
	(222, 'TTO'),
	(223, 'TUN'),
	(224, 'TUR'),
	(225, 'TUV'),
	(226, 'TWN'),
	(227, 'TZA'),
	(228, 'UGA'),
	(229, 'UKR'),
	(230, 'UMI'),
	(231, 'URY'),
	(232, 'USA'),
	(233, 'UZB'),
	(234, 'VAT'),
	(235, 'VCT'),
	(236, 'VEN'),
	(237, 'VGB'),
	(238, 'VIR'),
	(239, 'VNM'),
	(240, 'VUT'),
	(241, 'WLF'),
	(242, 'WSM'),
	(243, 'YEM'),
	(244, 'ZAF'),
	(245, 'ZMB'),
	(246, 'ZWE'),
	(247, 'ALA');
INSERT INTO public.lk_gender VALUES
	(1, 'Woman', 'Female'),
	(2, 'Man', 'Male'),
	(3, 'Non-binary', 'Neutral'),
	(4, 'Gender not listed', 'Unknown'),
	(5, 'Prefer not to answer', 'Not Provided');
INSERT INTO public.lk_geo_state VALUES
	(1, 'MA'),
	(2, 'AL'),
	(3, 'AS'),
	(4, 'AZ'),
	(5, 'AR'),
	(6, 'CA'),
	(7, 'CO'),
	(8, 'CT'),
	(9, 'DE'),
	(10, 'DC'),
	(11, 'FM'),
	(12, 'FL'),
	(13, 'GA'),
	(14, 'GU'),
	(15, 'HI'),
	(16, 'ID'),
	(17, 'IL'),
	(18, 'IN'),
	(19, 'IA'),
	(20, 'KS'),
	(21, 'KY'),
	(22, 'LA'),
	(23, 'ME'),
	(24, 'MH'),
	(25, 'MD'),
	(26, 'MI'),
	(27, 'MN'),
	(28, 'MS'),
	(29, 'MO'),
	(30, 'MT'),
	(31, 'NE'),
	(32, 'NV'),
	(33, 'NH'),
	(34, 'NJ'),
	(35, 'NM'),
	(36, 'NY'),
	(37, 'NC'),
	(38, 'ND'),
	(39, 'MP'),
	(40, 'OH'),
	(41, 'OK'),
	(42, 'OR'),
	(43, 'PW'),
	(44, 'PA'),
	(45, 'PR'),
	(46, 'RI'),
	(47, 'SC'),
	(48, 'SD'),
	(49, 'TN'),
	(50, 'TX'),
	(51, 'UT'),
	(52, 'VT'),
	(53, 'VA'),
	(54, 'VI'),
	(55, 'WA'),
	(56, 'WV'),
	(57, 'WI'),
	(58, 'WY'),
	(59, 'AK');
INSERT INTO public.lk_marital_status VALUES
	(1, 'Single'),
	(2, 'Married'),
	(3, 'Divorced'),
	(4, 'Widowed');
INSERT INTO public.lk_occupation VALUES
	(1, 'Health Care'),
	(2, 'Sales Clerk'),
	(3, 'Administrative'),
	(4, 'Engineer');
INSERT INTO public.lk_race VALUES
	(1, 'Black'),
	(2, 'Hispanic'),
	(3, 'White');
INSERT INTO public.lk_title VALUES
	(1, 'Unknown'),
	(2, 'Mr'),
	(3, 'Mrs'),
	(4, 'Miss'),
	(5, 'Ms'),
	(6, 'Dr'),
	(7, 'Madam'),
	(8, 'Sir');
INSERT INTO public.longshore_alembic_version VALUES
	('0009');
INSERT INTO public.longshore_lease VALUES
	('dor-import', 'run-1', '2026-11-29 03:29:31.322441+00', '2026-11-29 03:29:31.322441+00', '2026-11-01 01:00:00+00');
INSERT INTO public.tax_identifier VALUES
	('33333333-3333-4333-8333-333333333333', '999000001', '2026-11-29 03:29:31.322441+00', '2026-11-29 03:29:31.322441+00');
SELECT pg_catalog.setval('public.dor_rejected_line_dor_rejected_line_id_seq', 1, false);
SELECT pg_catalog.setval('public.fineos_rejected_row_fineos_rejected_row_id_seq', 1, false);
SELECT pg_catalog.setval('public.import_log_import_log_id_seq', 1, true);
ALTER TABLE ONLY public.address
    ADD CONSTRAINT address_pkey PRIMARY KEY (address_id);
ALTER TABLE ONLY public.dor_imported_file
    ADD CONSTRAINT dor_imported_file_pkey PRIMARY KEY (digest);
ALTER TABLE ONLY public.dor_rejected_line
    ADD CONSTRAINT dor_rejected_line_pkey PRIMARY KEY (dor_rejected_line_id);
ALTER TABLE ONLY public.employee_occupation
    ADD CONSTRAINT employee_occupation_pkey PRIMARY KEY (employee_occupation_id);
ALTER TABLE ONLY public.employee
    ADD CONSTRAINT employee_pkey PRIMARY KEY (employee_id);
ALTER TABLE ONLY public.employee_push_to_fineos_queue
    ADD CONSTRAINT employee_push_to_fineos_queue_pkey PRIMARY KEY (employee_push_to_fineos_queue_id);
ALTER TABLE ONLY public.employer
    ADD CONSTRAINT employer_pkey PRIMARY KEY (employer_id);
ALTER TABLE ONLY public.employer_push_to_fineos_queue
    ADD CONSTRAINT employer_push_to_fineos_queue_pkey PRIMARY KEY (employer_push_to_fineos_queue_id);
ALTER TABLE ONLY public.employer_quarterly_contribution
    ADD CONSTRAINT employer_quarterly_contribution_pkey PRIMARY KEY (employer_id, filing_period);
ALTER TABLE ONLY public.fineos_rejected_row
    ADD CONSTRAINT fineos_rejected_row_pkey PRIMARY KEY (fineos_rejected_row_id);
ALTER TABLE ONLY public.import_log
    ADD CONSTRAINT import_log_pkey PRIMARY KEY (import_log_id);
ALTER TABLE ONLY public.import_log_report_queue
    ADD CONSTRAINT import_log_report_queue_pkey PRIMARY KEY (import_log_report_queue_id);
ALTER TABLE ONLY public.link_employer_address
    ADD CONSTRAINT link_employer_address_address_id_key UNIQUE (address_id);
ALTER TABLE ONLY public.link_employer_address
    ADD CONSTRAINT link_employer_address_employer_id_key UNIQUE (employer_id);
ALTER TABLE ONLY public.link_employer_address
    ADD CONSTRAINT link_employer_address_pkey PRIMARY KEY (employer_id, address_id);
ALTER TABLE ONLY public.lk_address_type
    ADD CONSTRAINT lk_address_type_pkey PRIMARY KEY (address_type_id);
ALTER TABLE ONLY public.lk_country
    ADD CONSTRAINT lk_country_pkey PRIMARY KEY (country_id);
ALTER TABLE ONLY public.lk_education_level
    ADD CONSTRAINT lk_education_level_pkey PRIMARY KEY (education_level_id);
ALTER TABLE ONLY public.lk_gender
    ADD CONSTRAINT lk_gender_pkey PRIMARY KEY (gender_id);
ALTER TABLE ONLY public.lk_geo_state
    ADD CONSTRAINT lk_geo_state_pkey PRIMARY KEY (geo_state_id);
ALTER TABLE ONLY public.lk_industry_code
    ADD CONSTRAINT lk_industry_code_pkey PRIMARY KEY (industry_code_id);
ALTER TABLE ONLY public.lk_marital_status
    ADD CONSTRAINT lk_marital_status_pkey PRIMARY KEY (marital_status_id);
ALTER TABLE ONLY public.lk_occupation
    ADD CONSTRAINT lk_occupation_pkey PRIMARY KEY (occupation_id);
ALTER TABLE ONLY public.lk_payment_method
    ADD CONSTRAINT lk_payment_method_pkey PRIMARY KEY (payment_method_id);
ALTER TABLE ONLY public.lk_race
    ADD CONSTRAINT lk_race_pkey PRIMARY KEY (race_id);
ALTER TABLE ONLY public.lk_title
    ADD CONSTRAINT lk_title_pkey PRIMARY KEY (title_id);
ALTER TABLE ONLY public.longshore_alembic_version
    ADD CONSTRAINT longshore_alembic_version_pkc PRIMARY KEY (version_num);
ALTER TABLE ONLY public.longshore_lease
    ADD CONSTRAINT longshore_lease_pkey PRIMARY KEY (name);
ALTER TABLE ONLY public.organization_unit
    ADD CONSTRAINT organization_unit_fineos_id_key UNIQUE (fineos_id);
ALTER TABLE ONLY public.organization_unit
    ADD CONSTRAINT organization_unit_name_employer_id_key UNIQUE (name, employer_id);
ALTER TABLE ONLY public.organization_unit
    ADD CONSTRAINT organization_unit_pkey PRIMARY KEY (organization_unit_id);
ALTER TABLE ONLY public.processed_object
    ADD CONSTRAINT processed_object_pkey PRIMARY KEY (source, uri, version);
ALTER TABLE ONLY public.tax_identifier
    ADD CONSTRAINT tax_identifier_pkey PRIMARY KEY (tax_identifier_id);
ALTER TABLE ONLY public.tax_identifier
    ADD CONSTRAINT tax_identifier_tax_identifier_key UNIQUE (tax_identifier);
ALTER TABLE ONLY public.wages_and_contributions
    ADD CONSTRAINT wage_and_contribution_pkey PRIMARY KEY (wage_and_contribution_id);
ALTER TABLE ONLY public.wages_and_contributions_history
    ADD CONSTRAINT wages_and_contributions_history_pkey PRIMARY KEY (wages_and_contributions_history_id);
CREATE INDEX ix_dor_rejected_line_file_name ON public.dor_rejected_line USING btree (file_name);
CREATE INDEX ix_dor_rejected_line_import_log_id ON public.dor_rejected_line USING btree (import_log_id);
CREATE INDEX ix_employee_cell_phone_number ON public.employee USING btree (cell_phone_number);
CREATE INDEX ix_employee_ctr_address_pair_id ON public.employee USING btree (ctr_address_pair_id);
CREATE INDEX ix_employee_fineos_customer_number ON public.employee USING btree (fineos_customer_number);
CREATE INDEX ix_employee_latest_import_log_id ON public.employee USING btree (latest_import_log_id);
CREATE INDEX ix_employee_occupation_employee_id ON public.employee_occupation USING btree (employee_id);
CREATE UNIQUE INDEX ix_employee_occupation_employee_id_employer_id ON public.employee_occupation USING btree (employee_id, employer_id);
CREATE INDEX ix_employee_occupation_employer_id ON public.employee_occupation USING btree (employer_id);
CREATE INDEX ix_employee_occupation_organization_unit_id ON public.employee_occupation USING btree (organization_unit_id);
CREATE INDEX ix_employee_phone_number ON public.employee USING btree (phone_number);
CREATE INDEX ix_employee_push_to_fineos_queue_action ON public.employee_push_to_fineos_queue USING btree (action);
CREATE INDEX ix_employee_push_to_fineos_queue_employee_id ON public.employee_push_to_fineos_queue USING btree (employee_id);
CREATE INDEX ix_employee_push_to_fineos_queue_employer_id ON public.employee_push_to_fineos_queue USING btree (employer_id);
CREATE INDEX ix_employee_push_to_fineos_queue_process_id ON public.employee_push_to_fineos_queue USING btree (process_id);
CREATE UNIQUE INDEX ix_employee_tax_identifier_id ON public.employee USING btree (tax_identifier_id);
CREATE INDEX ix_employer_account_key ON public.employer USING btree (account_key);
CREATE INDEX ix_employer_employer_fein ON public.employer USING btree (employer_fein);
CREATE UNIQUE INDEX ix_employer_fineos_employer_id ON public.employer USING btree (fineos_employer_id);
CREATE INDEX ix_employer_latest_import_log_id ON public.employer USING btree (latest_import_log_id);
CREATE INDEX ix_employer_push_to_fineos_queue_action ON public.employer_push_to_fineos_queue USING btree (action);
CREATE INDEX ix_employer_push_to_fineos_queue_employer_id ON public.employer_push_to_fineos_queue USING btree (employer_id);
CREATE INDEX ix_employer_push_to_fineos_queue_process_id ON public.employer_push_to_fineos_queue USING btree (process_id);
CREATE INDEX ix_employer_quarterly_contribution_employer_id ON public.employer_quarterly_contribution USING btree (employer_id);
CREATE INDEX ix_employer_quarterly_contribution_latest_import_log_id ON public.employer_quarterly_contribution USING btree (latest_import_log_id);
CREATE INDEX ix_employer_quarterly_contribution_pfm_account_id ON public.employer_quarterly_contribution USING btree (pfm_account_id);
CREATE INDEX ix_fineos_rejected_row_file_name ON public.fineos_rejected_row USING btree (file_name);
CREATE INDEX ix_fineos_rejected_row_import_log_id ON public.fineos_rejected_row USING btree (import_log_id);
CREATE INDEX ix_import_log_import_type ON public.import_log USING btree (import_type);
CREATE INDEX ix_import_log_report_queue_import_log_id ON public.import_log_report_queue USING btree (import_log_id);
CREATE INDEX ix_import_log_source ON public.import_log USING btree (source);
CREATE INDEX ix_import_log_start ON public.import_log USING btree (start);
CREATE INDEX ix_organization_unit_employer_id ON public.organization_unit USING btree (employer_id);
CREATE INDEX ix_wages_and_contributions_employee_id ON public.wages_and_contributions USING btree (employee_id);
CREATE INDEX ix_wages_and_contributions_employer_id ON public.wages_and_contributions USING btree (employer_id);
CREATE INDEX ix_wages_and_contributions_filing_period ON public.wages_and_contributions USING btree (filing_period);
CREATE INDEX ix_wages_and_contributions_history_import_log_id ON public.wages_and_contributions_history USING btree (import_log_id);
CREATE INDEX ix_wages_and_contributions_history_wage_and_contribution_id ON public.wages_and_contributions_history USING btree (wage_and_contribution_id);
CREATE INDEX ix_wages_and_contributions_latest_import_log_id ON public.wages_and_contributions USING btree (latest_import_log_id);
CREATE UNIQUE INDEX uq_employer_employer_fein ON public.employer USING btree (employer_fein);
CREATE UNIQUE INDEX uq_wages_and_contributions_employee_employer_period ON public.wages_and_contributions USING btree (employee_id, employer_id, filing_period);
ALTER TABLE ONLY public.address
    ADD CONSTRAINT address_address_type_id_fkey FOREIGN KEY (address_type_id) REFERENCES public.lk_address_type(address_type_id);
ALTER TABLE ONLY public.address
    ADD CONSTRAINT address_country_id_fkey FOREIGN KEY (country_id) REFERENCES public.lk_country(country_id);
ALTER TABLE ONLY public.address
    ADD CONSTRAINT address_geo_state_id_fkey FOREIGN KEY (geo_state_id) REFERENCES public.lk_geo_state(geo_state_id);
ALTER TABLE ONLY public.employee
    ADD CONSTRAINT employee_education_level_id_fkey FOREIGN KEY (education_level_id) REFERENCES public.lk_education_level(education_level_id);
ALTER TABLE ONLY public.employee
    ADD CONSTRAINT employee_gender_id_fkey FOREIGN KEY (gender_id) REFERENCES public.lk_gender(gender_id);
ALTER TABLE ONLY public.employee
    ADD CONSTRAINT employee_latest_import_log_id_fkey FOREIGN KEY (latest_import_log_id) REFERENCES public.import_log(import_log_id);
ALTER TABLE ONLY public.employee
    ADD CONSTRAINT employee_marital_status_id_fkey FOREIGN KEY (marital_status_id) REFERENCES public.lk_marital_status(marital_status_id);
ALTER TABLE ONLY public.employee_occupation
    ADD CONSTRAINT employee_occupation_employee_id_fkey FOREIGN KEY (employee_id) REFERENCES public.employee(employee_id);
ALTER TABLE ONLY public.employee_occupation
    ADD CONSTRAINT employee_occupation_employer_id_fkey FOREIGN KEY (employer_id) REFERENCES public.employer(employer_id);
ALTER TABLE ONLY public.employee
    ADD CONSTRAINT employee_occupation_id_fkey FOREIGN KEY (occupation_id) REFERENCES public.lk_occupation(occupation_id);
ALTER TABLE ONLY public.employee_occupation
    ADD CONSTRAINT employee_occupation_organization_unit_id_fkey FOREIGN KEY (organization_unit_id) REFERENCES public.organization_unit(organization_unit_id);
ALTER TABLE ONLY public.employee
    ADD CONSTRAINT employee_payment_method_id_fkey FOREIGN KEY (payment_method_id) REFERENCES public.lk_payment_method(payment_method_id);
ALTER TABLE ONLY public.employee
    ADD CONSTRAINT employee_race_id_fkey FOREIGN KEY (race_id) REFERENCES public.lk_race(race_id);
ALTER TABLE ONLY public.employee
    ADD CONSTRAINT employee_tax_identifier_id_fkey FOREIGN KEY (tax_identifier_id) REFERENCES public.tax_identifier(tax_identifier_id);
ALTER TABLE ONLY public.employee
    ADD CONSTRAINT employee_title_id_fkey FOREIGN KEY (title_id) REFERENCES public.lk_title(title_id);
ALTER TABLE ONLY public.employer
    ADD CONSTRAINT employer_industry_code_id_fkey FOREIGN KEY (industry_code_id) REFERENCES public.lk_industry_code(industry_code_id);
ALTER TABLE ONLY public.employer
    ADD CONSTRAINT employer_latest_import_log_id_fkey FOREIGN KEY (latest_import_log_id) REFERENCES public.import_log(import_log_id);
ALTER TABLE ONLY public.employer_quarterly_contribution
    ADD CONSTRAINT employer_quarterly_contribution_employer_id_fkey FOREIGN KEY (employer_id) REFERENCES public.employer(employer_id);
ALTER TABLE ONLY public.employer_quarterly_contribution
    ADD CONSTRAINT employer_quarterly_contribution_latest_import_log_id_fkey FOREIGN KEY (latest_import_log_id) REFERENCES public.import_log(import_log_id);
ALTER TABLE ONLY public.import_log_report_queue
    ADD CONSTRAINT import_log_report_queue_import_log_id_fkey FOREIGN KEY (import_log_id) REFERENCES public.import_log(import_log_id) ON DELETE CASCADE;
ALTER TABLE ONLY public.link_employer_address
    ADD CONSTRAINT link_employer_address_address_id_fkey FOREIGN KEY (address_id) REFERENCES public.address(address_id);
ALTER TABLE ONLY public.link_employer_address
    ADD CONSTRAINT link_employer_address_employer_id_fkey FOREIGN KEY (employer_id) REFERENCES public.employer(employer_id);
ALTER TABLE ONLY public.organization_unit
    ADD CONSTRAINT organization_unit_employer_id_fkey FOREIGN KEY (employer_id) REFERENCES public.employer(employer_id);
ALTER TABLE ONLY public.wages_and_contributions
    ADD CONSTRAINT wages_and_contributions_employee_id_fkey FOREIGN KEY (employee_id) REFERENCES public.employee(employee_id);
ALTER TABLE ONLY public.wages_and_contributions
    ADD CONSTRAINT wages_and_contributions_employer_id_fkey FOREIGN KEY (employer_id) REFERENCES public.employer(employer_id);
ALTER TABLE ONLY public.wages_and_contributions_history
    ADD CONSTRAINT wages_and_contributions_history_import_log_id_fkey FOREIGN KEY (import_log_id) REFERENCES public.import_log(import_log_id);
ALTER TABLE ONLY public.wages_and_contributions_history
    ADD CONSTRAINT wages_and_contributions_history_wage_and_contribution_id_fkey FOREIGN KEY (wage_and_contribution_id) REFERENCES public.wages_and_contributions(wage_and_contribution_id);
ALTER TABLE ONLY public.wages_and_contributions
    ADD CONSTRAINT wages_and_contributions_latest_import_log_id_fkey FOREIGN KEY (latest_import_log_id) REFERENCES public.import_log(import_log_id);

-- A webshop of four orders, in the shape that python/ingest.py leaves behind. Small enough to check by hand.
set timezone = 'UTC';
create schema raw_postgres;
create schema raw_salesforce;
create schema raw_sap;

create table raw_salesforce.accounts as
select *, timestamptz '2025-01-01' as created_date, timestamptz '2025-01-01' as last_modified_date,
    timestamptz '2025-01-01' as system_modstamp, 'load' as _dlt_load_id
from (values
    ('001000000000000001', 'AC-00001', 'Bright Ltd', 'Retail', 'nl', 1000.0, '005000000000000001', false),
    ('001000000000000002', 'AC-00002', 'Dim GmbH', null, 'DE', 2000.0, '005000000000000001', false),
    ('001000000000000003', 'AC-00003', 'Gone SA', 'Energy', 'FR', 3000.0, '005000000000000001', true)
) as t(id, account_number, name, industry, billing_country, annual_revenue, owner_id, is_deleted);

create table raw_salesforce.contacts as
select *, 'Buyer' as title, timestamptz '2025-01-01' as created_date, timestamptz '2025-01-01' as last_modified_date,
    timestamptz '2025-01-01' as system_modstamp, 'load' as _dlt_load_id
from (values
    ('003000000000000001', '001000000000000001', 'Ada', 'Kaars', 'ada@bright.example', false),
    ('003000000000000002', '001000000000000001', 'Bo', 'Weg', 'bo@bright.example', true)
) as t(id, account_id, first_name, last_name, email, is_deleted);

create table raw_postgres.customers as
select *, timestamptz '2025-01-01' as created_at, timestamptz '2025-01-01' as updated_at, 'load' as _dlt_load_id
from (values
    (1::bigint, 'Ada@Bright.example', 'Ada', 'Kaars', 'NL', 'AC-00001'),
    (2::bigint, 'cy@home.example', 'Cy', 'Lamp', 'BE', null),
    (3::bigint, 'di@dim.example', 'Di', 'Mer', 'DE', 'AC-00002')
) as t(customer_id, email, first_name, last_name, country, account_number);

create table raw_postgres.products as
select *, timestamptz '2025-01-01' as created_at, timestamptz '2025-01-01' as updated_at, 'load' as _dlt_load_id
from (values
    (1::bigint, 'LG-1', 'Candle', 'Light', 10.00::decimal(10, 2), 4.00::decimal(10, 2)),
    (2::bigint, 'LG-2', 'Torch', 'Light', 20.00::decimal(10, 2), 15.00::decimal(10, 2))
) as t(product_id, sku, name, category, unit_price, unit_cost);

create table raw_postgres.orders as
select *, 'EUR' as currency, ordered_at as updated_at, 'load' as _dlt_load_id
from (values
    -- Half an hour before midnight in UTC, the next day in Tokyo, where the tests run.
    (1::bigint, 'WEB-0000001', 1::bigint, 'delivered', 39.00::decimal(12, 2), timestamptz '2025-07-01 23:30:00+00'),
    (2::bigint, 'WEB-0000002', 2::bigint, 'cancelled', 10.00::decimal(12, 2), timestamptz '2025-07-01 10:00:00+00'),
    (3::bigint, 'WEB-0000003', 2::bigint, 'returned', 20.00::decimal(12, 2), timestamptz '2025-07-02 10:00:00+00'),
    (4::bigint, 'WEB-0000004', 1::bigint, 'paid', 30.00::decimal(12, 2), timestamptz '2025-07-03 10:00:00+00')
) as t(order_id, order_number, customer_id, status, total_amount, ordered_at);

create table raw_postgres.order_items as
select *, timestamptz '2025-07-01' as updated_at, 'load' as _dlt_load_id
from (values
    (1::bigint, 1, 1::bigint, 2, 10.00::decimal(10, 2), 1.00::decimal(10, 2), 19.00::decimal(12, 2)),
    (1::bigint, 2, 2::bigint, 1, 20.00::decimal(10, 2), 0.00::decimal(10, 2), 20.00::decimal(12, 2)),
    (2::bigint, 1, 1::bigint, 1, 10.00::decimal(10, 2), 0.00::decimal(10, 2), 10.00::decimal(12, 2)),
    (3::bigint, 1, 2::bigint, 1, 20.00::decimal(10, 2), 0.00::decimal(10, 2), 20.00::decimal(12, 2)),
    (4::bigint, 1, 1::bigint, 3, 10.00::decimal(10, 2), 0.00::decimal(10, 2), 30.00::decimal(12, 2))
) as t(order_id, line_number, product_id, quantity, unit_price, discount_amount, line_amount);

create table raw_sap.shipments as
select *, 'LF' as delivery_document_type, '17' as sold_to_party, '1000' as shipping_point,
    2.500::decimal(15, 3) as header_gross_weight, 'KG' as header_weight_unit,
    timestamptz '2025-07-03' as last_change_date_time, 'load' as _dlt_load_id
from (values
    ('80000001', 'WEB-0000001', 'C', timestamptz '2025-07-02', timestamptz '2025-07-03', timestamptz '2025-07-05'),
    ('80000002', 'WEB-0000003', 'C', timestamptz '2025-07-02', timestamptz '2025-07-03', timestamptz '2025-07-04'),
    ('80000003', 'WEB-0000004', 'A', timestamptz '2025-07-03', null, null)
) as t(
    delivery_document, yy1_web_order_dlh, overall_goods_movement_status, creation_date, actual_goods_movement_date,
    proof_of_delivery_date
);

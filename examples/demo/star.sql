-- Around the ticks: pairs, their currencies, those currencies' countries and
-- regions. A statement that wants all of it joins eight tables.
CREATE TABLE regions (region text PRIMARY KEY, region_name text NOT NULL);
CREATE TABLE countries (country text PRIMARY KEY, region text NOT NULL REFERENCES regions);
CREATE TABLE currencies (
	code text PRIMARY KEY,
	currency_name text NOT NULL,
	country text NOT NULL REFERENCES countries
);
CREATE TABLE pairs (
	pair text PRIMARY KEY,
	base text NOT NULL REFERENCES currencies,
	quote text NOT NULL REFERENCES currencies
);

INSERT INTO regions VALUES ('AM', 'Americas'), ('AP', 'Asia and Pacific'), ('EU', 'Europe');
INSERT INTO countries VALUES ('US', 'AM'), ('CA', 'AM'), ('JP', 'AP'), ('AU', 'AP'), ('NZ', 'AP'),
	('GB', 'EU'), ('CH', 'EU'), ('DE', 'EU');
INSERT INTO currencies VALUES ('USD', 'US dollar', 'US'), ('CAD', 'Canadian dollar', 'CA'),
	('JPY', 'Yen', 'JP'), ('AUD', 'Australian dollar', 'AU'), ('NZD', 'New Zealand dollar', 'NZ'),
	('GBP', 'Pound sterling', 'GB'), ('CHF', 'Swiss franc', 'CH'), ('EUR', 'Euro', 'DE');
INSERT INTO pairs
SELECT DISTINCT pair, left(pair, 3), right(pair, 3) FROM ticks;
ANALYZE regions, countries, currencies, pairs, ticks;

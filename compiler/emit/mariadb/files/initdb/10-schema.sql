-- Every statement can run again: at the first start (the image runs this folder on an empty data folder
-- only) and at every apply. Migrations only add; each is written down in schema_migrations.
-- Character set and collation are stated everywhere, because the server's own defaults change with 11.5.
SET NAMES utf8mb4 COLLATE utf8mb4_bin;
CREATE DATABASE IF NOT EXISTS mailserver CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
CREATE DATABASE IF NOT EXISTS roundcubemail CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;
USE mailserver;

CREATE TABLE IF NOT EXISTS schema_migrations (
    id INT NOT NULL PRIMARY KEY,
    name VARCHAR(64) NOT NULL,
    applied_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- 1: the tables of the design, as it has them. Addresses compare byte for byte (utf8mb4_bin), so that an
-- accented letter never matches a plain one; whoever looks one up writes it in lower case.
CREATE TABLE IF NOT EXISTS domains (
    id INT AUTO_INCREMENT PRIMARY KEY,
    name VARCHAR(255) NOT NULL UNIQUE,
    created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
CREATE TABLE IF NOT EXISTS users (
    id INT AUTO_INCREMENT PRIMARY KEY,
    email VARCHAR(255) NOT NULL UNIQUE,
    password_hash VARCHAR(255) NOT NULL,
    domain_id INT NOT NULL,
    quota_mb INT DEFAULT 2048,
    is_active BOOLEAN DEFAULT TRUE,
    created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
    FOREIGN KEY (domain_id) REFERENCES domains(id)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
CREATE TABLE IF NOT EXISTS aliases (
    id INT AUTO_INCREMENT PRIMARY KEY,
    source VARCHAR(255) NOT NULL,
    destination VARCHAR(255) NOT NULL,
    domain_id INT NOT NULL,
    created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
    FOREIGN KEY (domain_id) REFERENCES domains(id)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
INSERT IGNORE INTO schema_migrations (id, name) VALUES (1, 'tables of the design');

-- 2: states. A retired or purged row receives nothing and signs in nowhere; is_active alone bars the
-- sign-in and leaves delivery as it is.
ALTER TABLE domains
    ADD COLUMN IF NOT EXISTS state ENUM('active', 'retired', 'purged') NOT NULL DEFAULT 'active',
    ADD COLUMN IF NOT EXISTS subaddress BOOLEAN NOT NULL DEFAULT TRUE;
ALTER TABLE users
    ADD COLUMN IF NOT EXISTS state ENUM('active', 'disabled', 'retired', 'purged') NOT NULL DEFAULT 'active',
    ADD COLUMN IF NOT EXISTS state_since DATE NULL,
    ADD COLUMN IF NOT EXISTS name VARCHAR(100) NOT NULL DEFAULT '',
    ADD COLUMN IF NOT EXISTS role ENUM('user', 'domainAdmin', 'admin') NOT NULL DEFAULT 'user',
    ADD COLUMN IF NOT EXISTS password_changed_at TIMESTAMP NULL;
INSERT IGNORE INTO schema_migrations (id, name) VALUES (2, 'states, roles and names');

-- 3: who may put which further address in From.
CREATE TABLE IF NOT EXISTS send_as (
    id INT AUTO_INCREMENT PRIMARY KEY,
    user_id INT NOT NULL,
    address VARCHAR(255) NOT NULL,
    created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
    UNIQUE KEY send_as_once (user_id, address),
    KEY send_as_address (address),
    CONSTRAINT send_as_user FOREIGN KEY (user_id) REFERENCES users(id) ON DELETE CASCADE
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
INSERT IGNORE INTO schema_migrations (id, name) VALUES (3, 'further sender addresses');

-- 4: what the tables of the design let through: an alias twice, upper case that no look-up finds, and a
-- user or alias whose domain is not the one its domain_id says. The generated column and the key over
-- both make the last one impossible.
ALTER TABLE aliases
    ADD UNIQUE KEY IF NOT EXISTS aliases_once (source, destination),
    ADD KEY IF NOT EXISTS aliases_destination (destination);
ALTER TABLE domains
    ADD UNIQUE KEY IF NOT EXISTS domains_id_name (id, name);
ALTER TABLE users
    ADD COLUMN IF NOT EXISTS domain_name VARCHAR(255) AS (SUBSTRING_INDEX(email, '@', -1)) STORED;
ALTER TABLE aliases
    ADD COLUMN IF NOT EXISTS domain_name VARCHAR(255) AS (SUBSTRING_INDEX(source, '@', -1)) STORED;
ALTER TABLE users
    ADD CONSTRAINT users_domain FOREIGN KEY IF NOT EXISTS (domain_id, domain_name) REFERENCES domains(id, name);
ALTER TABLE aliases
    ADD CONSTRAINT aliases_domain FOREIGN KEY IF NOT EXISTS (domain_id, domain_name) REFERENCES domains(id, name);
ALTER TABLE domains
    ADD CONSTRAINT IF NOT EXISTS domains_name_lower CHECK (name = LOWER(name));
ALTER TABLE users
    ADD CONSTRAINT IF NOT EXISTS users_email_lower CHECK (email = LOWER(email) AND email LIKE '_%@_%'),
    ADD CONSTRAINT IF NOT EXISTS users_quota CHECK (quota_mb >= 0);
ALTER TABLE aliases
    ADD CONSTRAINT IF NOT EXISTS aliases_source_lower CHECK (source = LOWER(source));
INSERT IGNORE INTO schema_migrations (id, name) VALUES (4, 'keys and checks');

-- 5: of a password that Git sets, which one it is (password_git, a keyed fingerprint) and the digest of the hash that was
-- written for it, so that a change by somebody else shows. Both are NULL where the owner sets the password.
ALTER TABLE users
    ADD COLUMN IF NOT EXISTS password_git VARCHAR(64) NULL,
    ADD COLUMN IF NOT EXISTS password_written CHAR(64) NULL;
INSERT IGNORE INTO schema_migrations (id, name) VALUES (5, 'passwords that Git sets');

-- 6: what people own and the console keeps: further passwords for their devices, second factors, sign-ins. An app
-- password is made by the console, long and random, so that a fast hash is enough; its selector, four hex digits of
-- its SHA-256, picks the row, so that the database never sees what somebody typed.
CREATE TABLE IF NOT EXISTS app_passwords (
    id INT AUTO_INCREMENT PRIMARY KEY,
    user_id INT NOT NULL,
    name VARCHAR(100) NOT NULL,
    selector CHAR(4) NOT NULL,
    password_hash VARCHAR(255) NOT NULL,
    created_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    UNIQUE KEY app_passwords_selector (user_id, selector),
    FOREIGN KEY (user_id) REFERENCES users(id) ON DELETE CASCADE
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
-- The key of a second factor (RFC 6238) and the last time step that was used, which is never taken again.
CREATE TABLE IF NOT EXISTS console_factors (
    user_id INT NOT NULL PRIMARY KEY,
    totp_key VARCHAR(64) NOT NULL,
    last_step BIGINT NOT NULL,
    created_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    FOREIGN KEY (user_id) REFERENCES users(id) ON DELETE CASCADE
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
-- Of a session only a digest, so that reading this table signs nobody in. Times are UTC.
CREATE TABLE IF NOT EXISTS console_sessions (
    digest CHAR(64) NOT NULL PRIMARY KEY,
    user_id INT NOT NULL,
    complete BOOLEAN NOT NULL,
    seen_at DATETIME NOT NULL,
    ends_at DATETIME NOT NULL,
    KEY console_sessions_ends_at (ends_at),
    FOREIGN KEY (user_id) REFERENCES users(id) ON DELETE CASCADE
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
-- A link by which somebody sets a password without having one, once; of it too only a digest.
CREATE TABLE IF NOT EXISTS console_links (
    user_id INT NOT NULL PRIMARY KEY,
    digest CHAR(64) NOT NULL UNIQUE,
    ends_at DATETIME NOT NULL,
    FOREIGN KEY (user_id) REFERENCES users(id) ON DELETE CASCADE
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
INSERT IGNORE INTO schema_migrations (id, name) VALUES (6, 'app passwords, second factors, sessions, links');

-- 7: edits of the site that administrators ask for in the console, and what mailplan answers to them.
CREATE TABLE IF NOT EXISTS console_edits (
    id BIGINT AUTO_INCREMENT PRIMARY KEY,
    asked_by VARCHAR(255) NOT NULL,
    domain VARCHAR(255) NOT NULL,
    asked_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    request TEXT NOT NULL,
    state VARCHAR(16) NOT NULL DEFAULT 'asked',
    answer MEDIUMTEXT NULL,
    KEY console_edits_state (state),
    KEY console_edits_domain (domain)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
INSERT IGNORE INTO schema_migrations (id, name) VALUES (7, 'edits asked for in the console');

-- 8: when an app password was last taken, to the quarter of an hour; and what people want to be answered while they are
-- away. Dovecot reads that with the user at every delivery, in a line of 8 KiB in which each control character and each
-- percent sign takes two bytes: a longer one would keep the user's mail from being delivered at all. Hence the bounds, in bytes.
ALTER TABLE app_passwords
    ADD COLUMN IF NOT EXISTS used_at DATETIME NULL;
CREATE TABLE IF NOT EXISTS vacations (
    user_id INT NOT NULL PRIMARY KEY,
    active BOOLEAN NOT NULL DEFAULT FALSE,
    starts DATE NULL,
    ends DATE NULL,
    subject VARCHAR(200) NOT NULL,
    body VARCHAR(3000) NOT NULL,
    addresses VARCHAR(1000) NOT NULL,
    version INT NOT NULL DEFAULT 1,
    CONSTRAINT vacations_subject CHECK (LENGTH(subject) <= 300),
    CONSTRAINT vacations_body CHECK (LENGTH(body) <= 3000),
    CONSTRAINT vacations_addresses CHECK (LENGTH(addresses) <= 1000),
    FOREIGN KEY (user_id) REFERENCES users(id) ON DELETE CASCADE
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
-- Those who are away today, in the server's time zone. Sieve takes a list of addresses one by one: the first is the
-- mailbox's own, and what is missing of six repeats the last.
CREATE OR REPLACE ALGORITHM = MERGE SQL SECURITY DEFINER VIEW vacations_now AS
    SELECT user_id, NULLIF(subject, '') AS subject, body, version,
        SUBSTRING_INDEX(addresses, ' ', 1) AS address1,
        SUBSTRING_INDEX(SUBSTRING_INDEX(addresses, ' ', 2), ' ', -1) AS address2,
        SUBSTRING_INDEX(SUBSTRING_INDEX(addresses, ' ', 3), ' ', -1) AS address3,
        SUBSTRING_INDEX(SUBSTRING_INDEX(addresses, ' ', 4), ' ', -1) AS address4,
        SUBSTRING_INDEX(SUBSTRING_INDEX(addresses, ' ', 5), ' ', -1) AS address5,
        SUBSTRING_INDEX(SUBSTRING_INDEX(addresses, ' ', 6), ' ', -1) AS address6
    FROM vacations
    WHERE active AND body <> '' AND (starts IS NULL OR starts <= CURRENT_DATE) AND (ends IS NULL OR ends >= CURRENT_DATE);
INSERT IGNORE INTO schema_migrations (id, name) VALUES (8, 'vacations, use of app passwords');

CREATE TABLE greeting (text VARCHAR(20)); INSERT INTO greeting VALUES ("made at first start");

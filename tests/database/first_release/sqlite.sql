PRAGMA foreign_keys=OFF;
BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO alembic_version VALUES('0004');
CREATE TABLE records (
	destination TEXT NOT NULL, 
	company TEXT NOT NULL, 
	"key" TEXT NOT NULL, 
	source_key TEXT NOT NULL, 
	number TEXT NOT NULL, 
	state TEXT NOT NULL, 
	hash TEXT, 
	payload TEXT, 
	target_id TEXT, 
	batch_id TEXT, 
	reason TEXT, 
	updated_at DATETIME NOT NULL, 
	CONSTRAINT pk_records PRIMARY KEY (destination, company, "key")
);
INSERT INTO records VALUES('anaplan/suppliers','NO01','NO01|50000','50000','50000','delivered','f3a775c757e13ba7bc6db6379242e5beaae035286fd0cb4ac9c09bab24bcaff2','{"code":"NO01|50000","company":"NO01","country":"NO","currency":"NOK","name":"Oslo Elektro AS","status":"Active","supplier_class":"1","supplier_number":"50000","vat_registration_id":"NO910000000MVA"}',NULL,'20241121T110019-dfeb3696',NULL,'2024-11-21 11:00:19.770104');
INSERT INTO records VALUES('anaplan/suppliers','NO01','NO01|50001','50001','50001','delivered','25c85b7a289b085f8d6d7cf9b597f88640064b88020e0aad221b4655462bc4a3','{"code":"NO01|50001","company":"NO01","country":"NO","currency":"NOK","name":"Kristiansund Kontorutstyr AS","status":"Active","supplier_class":"1","supplier_number":"50001","vat_registration_id":"NO910104729MVA"}',NULL,'20241121T110019-dfeb3696',NULL,'2024-11-21 11:00:19.770104');
INSERT INTO records VALUES('anaplan/suppliers','NO01','NO01|50002','50002','50002','delivered','102ce10a111d996b5a665f1caf5640bf0381851bc3fa60329ea25ea505e27393','{"code":"NO01|50002","company":"NO01","country":"NO","currency":"NOK","name":"Bodø Miljøtjenester AS","status":"Active","supplier_class":"1","supplier_number":"50002","vat_registration_id":"NO910209458MVA"}',NULL,'20241121T110019-dfeb3696',NULL,'2024-11-21 11:00:19.770104');
INSERT INTO records VALUES('anaplan/suppliers','NO01','NO01|50003','50003','50003','delivered','870fd5ce9be7add0829b1db4d816f7c9dbd7abbf2ce91395e5aa478ca3787e2f','{"code":"NO01|50003","company":"NO01","country":"NO","currency":"NOK","name":"Oslo Båtbyggeri AS","status":"Active","supplier_class":"1","supplier_number":"50003","vat_registration_id":"NO910314187MVA"}',NULL,'20241121T110019-dfeb3696',NULL,'2024-11-21 11:00:19.770104');
INSERT INTO records VALUES('anaplan/suppliers','NO01','NO01|50004','50004','50004','delivered','1d56de2424804cffcd9e56c0f5803c48e927bdcd1c9544b1d206e109e2a7f4de','{"code":"NO01|50004","company":"NO01","country":"NO","currency":"NOK","name":"Hamar Datautstyr AS","status":"Active","supplier_class":"1","supplier_number":"50004","vat_registration_id":"NO910418916MVA"}',NULL,'20241121T110019-dfeb3696',NULL,'2024-11-21 11:00:19.770104');
INSERT INTO records VALUES('anaplan/suppliers','NO01','NO01|50005','50005','50005','delivered','b2c0299c0abc8f75101083496f5361a23fba8e07ac0ee2521421121c45ac0fa4','{"code":"NO01|50005","company":"NO01","country":"DE","currency":"EUR","name":"Hafenbeispiel Maschinen GmbH","status":"Active","supplier_class":"2","supplier_number":"50005","vat_registration_id":"DE910523645"}',NULL,'20241121T110019-dfeb3696',NULL,'2024-11-21 11:00:19.770104');
INSERT INTO records VALUES('anaplan/suppliers','NO01','NO01|50006','50006','50006','delivered','fc55d10431cc6594e47d8cca05541d20d15a0c8c7ea439ccd31c6490a7546287','{"code":"NO01|50006","company":"NO01","country":"NO","currency":"NOK","name":"Stavanger Båtbyggeri AS","status":"Active","supplier_class":"1","supplier_number":"50006","vat_registration_id":"NO910628374MVA"}',NULL,'20241121T110019-dfeb3696',NULL,'2024-11-21 11:00:19.770104');
INSERT INTO records VALUES('anaplan/suppliers','NO01','NO01|50007','50007','50007','delivered','4f664c5caf28b7fd22fa790d3f6e83a9736ef47727c85aca01c75cf38f619bc5','{"code":"NO01|50007","company":"NO01","country":"NO","currency":"NOK","name":"Hamar Bygg AS","status":"Active","supplier_class":"1","supplier_number":"50007","vat_registration_id":"NO910733103MVA"}',NULL,'20241121T110019-dfeb3696',NULL,'2024-11-21 11:00:19.770104');
INSERT INTO records VALUES('anaplan/suppliers','NO01','NO01|50008','50008','50008','delivered','b9645ddf74f2d88d7f58137717cce0a4eee844b27338256e5c17a278f9409c3e','{"code":"NO01|50008","company":"NO01","country":"NO","currency":"NOK","name":"Stavanger Trelast AS","status":"Active","supplier_class":"1","supplier_number":"50008","vat_registration_id":"NO910837832MVA"}',NULL,'20241121T110019-dfeb3696',NULL,'2024-11-21 11:00:19.770104');
INSERT INTO records VALUES('anaplan/suppliers','NO01','NO01|50009','50009','50009','delivered','b80787af19507e9db6b6a03d6a83f5cc02d338693407030fd9555bca81ccdc56','{"code":"NO01|50009","company":"NO01","country":"NO","currency":"NOK","name":"Kristiansund Elektro AS","status":"Active","supplier_class":"1","supplier_number":"50009","vat_registration_id":"NO910942561MVA"}',NULL,'20241121T110019-dfeb3696',NULL,'2024-11-21 11:00:19.770104');
INSERT INTO records VALUES('anaplan/suppliers','NO01','NO01|50010','50010','50010','delivered','d951c23f044cf61acd91c6f4242a4fad4a89c56e1c357882020971e199abe9f4','{"code":"NO01|50010","company":"NO01","country":"NO","currency":"NOK","name":"Bergen Stål og Sveis AS","status":"Active","supplier_class":"1","supplier_number":"50010","vat_registration_id":"NO911047290MVA"}',NULL,'20241121T110019-dfeb3696',NULL,'2024-11-21 11:00:19.770104');
INSERT INTO records VALUES('anaplan/suppliers','NO01','NO01|50011','50011','50011','delivered','ab2bf3396d2c36079f86c1bb37d78e4dbf74c416f78df80fe44169120bd3814c','{"code":"NO01|50011","company":"NO01","country":"NO","currency":"NOK","name":"Hønefoss Regnskap AS","status":"Active","supplier_class":"1","supplier_number":"50011","vat_registration_id":"NO911152019MVA"}',NULL,'20241121T110019-dfeb3696',NULL,'2024-11-21 11:00:19.770104');
INSERT INTO records VALUES('anaplan/suppliers','NO01','NO01|50012','50012','50012','delivered','74add3f78d589da5c8a9a7ef63a5c758254fcabe8bcc7006055d31e94254120c','{"code":"NO01|50012","company":"NO01","country":"NO","currency":"SEK","name":"Kristiansund Båtbyggeri AS","status":"Active","supplier_class":"1","supplier_number":"50012","vat_registration_id":"NO911256748MVA"}',NULL,'20241121T110019-dfeb3696',NULL,'2024-11-21 11:00:19.770104');
INSERT INTO records VALUES('anaplan/suppliers','NO01','NO01|50013','50013','50013','delivered','5420a86433cab02cb8fe0cd81cad4614b2f66b01566515045075110e25dfe7cf','{"code":"NO01|50013","company":"NO01","country":"NO","currency":"NOK","name":"Bodø Datautstyr AS","status":"Active","supplier_class":"1","supplier_number":"50013","vat_registration_id":"NO911361477MVA"}',NULL,'20241121T110019-dfeb3696',NULL,'2024-11-21 11:00:19.770104');
INSERT INTO records VALUES('anaplan/suppliers','NO01','NO01|50014','50014','50014','delivered','522c50f7740204959349b71d6ba7f24861f1255bc922a6590480f408a67deeef','{"code":"NO01|50014","company":"NO01","country":"NO","currency":"NOK","name":"Drammen Rør AS","status":"Active","supplier_class":"1","supplier_number":"50014","vat_registration_id":"NO911466206MVA"}',NULL,'20241121T110019-dfeb3696',NULL,'2024-11-21 11:00:19.770104');
INSERT INTO records VALUES('anaplan/suppliers','NO01','NO01|50015','50015','50015','delivered','ae679c8cdcf5fca6449416e9a3857ea28b4b94cd7fa988fa132689e610ec7e95','{"code":"NO01|50015","company":"NO01","country":"NO","currency":"NOK","name":"Tromsø Verktøy AS","status":"Active","supplier_class":"1","supplier_number":"50015","vat_registration_id":"NO911570935MVA"}',NULL,'20241121T110019-dfeb3696',NULL,'2024-11-21 11:00:19.770104');
INSERT INTO records VALUES('anaplan/suppliers','NO01','NO01|50016','50016','50016','delivered','60d2f8ab7944178e6904b4e67defc3a7aa9be110025aaad68252ff808cee90b6','{"code":"NO01|50016","company":"NO01","country":"NO","currency":"NOK","name":"Hønefoss Bygg AS","status":"Inactive","supplier_class":"1","supplier_number":"50016","vat_registration_id":"NO911675664MVA"}',NULL,'20241121T110019-dfeb3696',NULL,'2024-11-21 11:00:19.770104');
INSERT INTO records VALUES('anaplan/suppliers','NO01','NO01|50017','50017','50017','delivered','02f8b2236cca7ca63e4ea21db0a1da9b24e56fdf2a2ce0f0387c5e8a88e3fb09','{"code":"NO01|50017","company":"NO01","country":"DE","currency":"EUR","name":"Beispielwerk Süd GmbH & Co. KG","status":"Active","supplier_class":"2","supplier_number":"50017","vat_registration_id":"DE911780393"}',NULL,'20241121T110019-dfeb3696',NULL,'2024-11-21 11:00:19.770104');
INSERT INTO records VALUES('anaplan/suppliers','NO01','NO01|50018','50018','50018','delivered','b5e30e26d7ec08855e3012fb8223eff19a3f19e95ee669bf0070d8875ae06d6e','{"code":"NO01|50018","company":"NO01","country":"NO","currency":"NOK","name":"Tromsø Verktøy AS","status":"Active","supplier_class":"1","supplier_number":"50018","vat_registration_id":"NO911885122MVA"}',NULL,'20241121T110019-dfeb3696',NULL,'2024-11-21 11:00:19.770104');
INSERT INTO records VALUES('anaplan/suppliers','NO01','NO01|50019','50019','50019','delivered','457636640ab4393f043a2028e7e1bc618b38dfdd704494be7b6e09a2b6254313','{"code":"NO01|50019","company":"NO01","country":"NO","currency":"NOK","name":"Bergen Kjøleteknikk AS","status":"Active","supplier_class":"1","supplier_number":"50019","vat_registration_id":"NO911989851MVA"}',NULL,'20241121T110019-dfeb3696',NULL,'2024-11-21 11:00:19.770104');
INSERT INTO records VALUES('anaplan/suppliers','NO01','NO01|50020','50020','50020','delivered','d27954e4bb58d4eeb6afe35894a5e171b153ad7088bb70ebfa9e8a968fae34e1','{"code":"NO01|50020","company":"NO01","country":"NO","currency":"NOK","name":"Kristiansund Miljøtjenester AS","status":"Active","supplier_class":"1","supplier_number":"50020","vat_registration_id":"NO912094580MVA"}',NULL,'20241121T110019-dfeb3696',NULL,'2024-11-21 11:00:19.770104');
INSERT INTO records VALUES('anaplan/suppliers','NO01','NO01|50021','50021','50021','delivered','dab0e11fab35c1bd4dc5a85c61280073fd178e5c8be72b6a1f7bfa6e8d2e3e1a','{"code":"NO01|50021","company":"NO01","country":"NO","currency":"NOK","name":"Drammen Kontorutstyr AS","status":"Active","supplier_class":"1","supplier_number":"50021","vat_registration_id":"NO912199309MVA"}',NULL,'20241121T110019-dfeb3696',NULL,'2024-11-21 11:00:19.770104');
INSERT INTO records VALUES('anaplan/suppliers','NO01','NO01|50022','50022','50022','delivered','fab54c900054f28747cde5ee9900ebd9b39795142dd280e685db94a0003092a4','{"code":"NO01|50022","company":"NO01","country":"NO","currency":"NOK","name":"Oslo Bygg AS","status":"OnHold","supplier_class":"1","supplier_number":"50022","vat_registration_id":"NO912304038MVA"}',NULL,'20241121T110019-dfeb3696',NULL,'2024-11-21 11:00:19.770104');
INSERT INTO records VALUES('anaplan/suppliers','NO01','NO01|50023','50023','50023','delivered','eea489ec3fd60535945e2a18cda93a34ad856005b82ce6b0d659baf614743b50','{"code":"NO01|50023","company":"NO01","country":"NO","currency":"NOK","name":"Bodø Datautstyr AS","status":"Active","supplier_class":"1","supplier_number":"50023","vat_registration_id":"NO912408767MVA"}',NULL,'20241121T110019-dfeb3696',NULL,'2024-11-21 11:00:19.770104');
INSERT INTO records VALUES('anaplan/supplier_invoices','NO01','NO01|Invoice|100002','Invoice|100002','100002','delivered','abc777f2f369f6e82f21edf22f065c7434a30f17ca009ef61e5ac7ccc693863b','{"amount":{"$decimal":"7433.6200"},"balance":{"$decimal":"0.0000"},"code":"NO01|Invoice|100002","company":"NO01","currency":"EUR","date":{"$date":"2024-02-17"},"description":null,"document_type":"Invoice","due_date":{"$date":"2024-02-27"},"financial_period":"202402","reference_number":"100002","status":"Closed","supplier":"NO01|50017","supplier_name":"Beispielwerk Süd GmbH & Co. KG","supplier_reference":"1687721","vat_amount":{"$decimal":"0.0000"}}',NULL,'20241121T110021-5d54fc3e',NULL,'2024-11-21 11:00:21.554892');
INSERT INTO records VALUES('anaplan/supplier_invoices','NO01','NO01|Invoice|100003','Invoice|100003','100003','delivered','eef7d8bc7e3e006d488966b9d6063eceb9a6da24e2380db944fac9af4bc68215','{"amount":{"$decimal":"6987.4100"},"balance":{"$decimal":"0.0000"},"code":"NO01|Invoice|100003","company":"NO01","currency":"NOK","date":{"$date":"2024-10-30"},"description":"Faktura 2023780 – Båtbyggeri frakt","document_type":"Invoice","due_date":{"$date":"2024-12-14"},"financial_period":"202410","reference_number":"100003","status":"Closed","supplier":"NO01|50016","supplier_name":"Hønefoss Bygg AS","supplier_reference":"2023780","vat_amount":{"$decimal":"748.6500"}}',NULL,'20241121T110021-5d54fc3e',NULL,'2024-11-21 11:00:21.554892');
INSERT INTO records VALUES('anaplan/supplier_invoices','NO01','NO01|Invoice|100004','Invoice|100004','100004','delivered','bcc260e46745e9bd0ea399562f4bd7fb487ba69ea577423f3dce139271fd4604','{"amount":{"$decimal":"2418.9700"},"balance":{"$decimal":"2418.9700"},"code":"NO01|Invoice|100004","company":"NO01","currency":"NOK","date":{"$date":"2024-11-11"},"description":null,"document_type":"Invoice","due_date":{"$date":"2024-11-21"},"financial_period":"202411","reference_number":"100004","status":"Open","supplier":"NO01|50019","supplier_name":"Bergen Kjøleteknikk AS","supplier_reference":"180399","vat_amount":{"$decimal":"0.0000"}}',NULL,'20241121T110021-5d54fc3e',NULL,'2024-11-21 11:00:21.554892');
INSERT INTO records VALUES('anaplan/supplier_invoices','NO01','NO01|Invoice|100005','Invoice|100005','100005','delivered','b4920bd8a637e3c6e41df6b68b580e611a4f7b931bdb5ef449c8e86eb8ed49f9','{"amount":{"$decimal":"311.3800"},"balance":{"$decimal":"0.0000"},"code":"NO01|Invoice|100005","company":"NO01","currency":"NOK","date":{"$date":"2024-06-02"},"description":"Faktura 9501690 – Datautstyr leie","document_type":"Invoice","due_date":{"$date":"2024-06-12"},"financial_period":"202406","reference_number":"100005","status":"Closed","supplier":"NO01|50000","supplier_name":"Oslo Elektro AS","supplier_reference":"9501690","vat_amount":{"$decimal":"0.0000"}}',NULL,'20241121T110021-5d54fc3e',NULL,'2024-11-21 11:00:21.554892');
INSERT INTO records VALUES('anaplan/supplier_invoices','NO01','NO01|Invoice|100006','Invoice|100006','100006','delivered','1997eab14cd012bfe787f3e08997963130c429846420bd68c8d11980dc8ee0a8','{"amount":{"$decimal":"6165.4600"},"balance":{"$decimal":"0.0000"},"code":"NO01|Invoice|100006","company":"NO01","currency":"EUR","date":{"$date":"2022-12-11"},"description":null,"document_type":"Invoice","due_date":{"$date":"2022-12-21"},"financial_period":"202212","reference_number":"100006","status":"Closed","supplier":"NO01|50017","supplier_name":"Beispielwerk Süd GmbH & Co. KG","supplier_reference":"718022","vat_amount":{"$decimal":"0.0000"}}',NULL,'20241121T110021-5d54fc3e',NULL,'2024-11-21 11:00:21.554892');
INSERT INTO records VALUES('anaplan/supplier_invoices','NO01','NO01|Invoice|100007','Invoice|100007','100007','delivered','0d1d512f42b6b00e2decacfc66d1b9b4237bb5f0652866595770e2861c6b0c82','{"amount":{"$decimal":"311.3800"},"balance":{"$decimal":"0.0000"},"code":"NO01|Invoice|100007","company":"NO01","currency":"NOK","date":{"$date":"2024-06-11"},"description":null,"document_type":"Invoice","due_date":{"$date":"2024-06-21"},"financial_period":"202406","reference_number":"100007","status":"Closed","supplier":"NO01|50000","supplier_name":"Oslo Elektro AS","supplier_reference":"3413295","vat_amount":{"$decimal":"0.0000"}}',NULL,'20241121T110021-5d54fc3e',NULL,'2024-11-21 11:00:21.554892');
INSERT INTO records VALUES('anaplan/supplier_invoices','NO01','NO01|Invoice|100008','Invoice|100008','100008','delivered','91d7cb8e582074a38130528d2fe4e6fdcc169d0449efaf9959ff2603e807427c','{"amount":{"$decimal":"23576.4900"},"balance":{"$decimal":"23576.4900"},"code":"NO01|Invoice|100008","company":"NO01","currency":"NOK","date":{"$date":"2023-02-09"},"description":null,"document_type":"Invoice","due_date":{"$date":"2023-02-23"},"financial_period":"202302","reference_number":"100008","status":"Hold","supplier":"NO01|50021","supplier_name":"Drammen Kontorutstyr AS","supplier_reference":"1130543","vat_amount":{"$decimal":"4715.3000"}}',NULL,'20241121T110021-5d54fc3e',NULL,'2024-11-21 11:00:21.554892');
CREATE TABLE batches (
	id TEXT NOT NULL, 
	destination TEXT NOT NULL, 
	company TEXT NOT NULL, 
	run_id TEXT NOT NULL, 
	token TEXT NOT NULL, 
	state TEXT NOT NULL, 
	size INTEGER NOT NULL, 
	checkpoint TEXT NOT NULL, 
	reason TEXT, 
	created_at DATETIME NOT NULL, 
	finished_at DATETIME, 
	CONSTRAINT pk_batches PRIMARY KEY (id)
);
INSERT INTO batches VALUES('20241121T110019-dfeb3696','anaplan/suppliers','NO01','ab494280-3339-49a3-97fa-929e1433db96','dfeb369695354bb6a830c693bfccb969','landed',24,'{"list": {"state": "done", "newest": 0, "object": "112000000000", "sha256": "3e931b188182210f28ab14adcf167f18e2b4bb25f3b301f92c7ddb67ab067578", "rows": {"list": 24}, "task": "ED07BB9FD3C04896A1CDEC495B3DB71A", "verdicts": {"list": {"landed": true, "reason": "", "remedy": "", "stop": false, "refused": {}, "warnings": {}, "counts": {"createdCount": 24, "failedCount": 0, "ignoredCount": 0, "invalidCount": 0, "renamedCount": 0, "successCreateCount": 24, "successRowCount": 24, "successUpdateCount": 0, "totalCreateCount": 24, "totalRowCount": 24, "totalUpdateCount": 0, "updatedCount": 0, "warningsCreateCount": 0, "warningsRowCount": 0, "warningsUpdateCount": 0}}}}, "data": {"state": "done", "newest": 0, "object": "112000000001", "sha256": "995db5ad44b9a12555fa1923ed712f003a3fb3772b822f1947051731f7318ad0", "rows": {"data": 24}, "task": "B7832F8D090B463EB637FDC0965B544C", "verdicts": {"data": {"landed": true, "reason": "", "remedy": "", "stop": false, "refused": {}, "warnings": {}, "counts": {"createdCount": 0, "failedCount": 0, "ignoredCount": 0, "invalidCount": 0, "successRowCount": 24, "totalRowCount": 24, "updatedCount": 24, "warningsRowCount": 0}}}}}',NULL,'2024-11-21 11:00:19.286463','2024-11-21 11:00:19.774896');
INSERT INTO batches VALUES('20241121T110021-5d54fc3e','anaplan/supplier_invoices','NO01','ab494280-3339-49a3-97fa-929e1433db96','5d54fc3e10284591acf9a591c77bd2d7','landed',7,'{"list": {"state": "done", "newest": 0, "object": "112000000010", "sha256": "9790f4c00ab7692f95411f47a762eb75b9909bb3e0966b1eed8fb7c6da573626", "rows": {"list": 7}, "task": "47F2846BAF964E94A2E2DB79A26E49E5", "verdicts": {"list": {"landed": true, "reason": "", "remedy": "", "stop": false, "refused": {}, "warnings": {}, "counts": {"createdCount": 7, "failedCount": 0, "ignoredCount": 0, "invalidCount": 0, "renamedCount": 0, "successCreateCount": 7, "successRowCount": 7, "successUpdateCount": 0, "totalCreateCount": 7, "totalRowCount": 7, "totalUpdateCount": 0, "updatedCount": 0, "warningsCreateCount": 0, "warningsRowCount": 0, "warningsUpdateCount": 0}}}}, "data": {"state": "done", "newest": 0, "object": "112000000011", "sha256": "2299fef05c615d7ac9f446aae213ee43d7fb18484755f2bc444ce07648aa61d7", "rows": {"data": 7}, "task": "2AEEF94FFA1C4B9C8C875057DB3AB129", "verdicts": {"data": {"landed": true, "reason": "", "remedy": "", "stop": false, "refused": {}, "warnings": {}, "counts": {"createdCount": 0, "failedCount": 0, "ignoredCount": 0, "invalidCount": 0, "successRowCount": 7, "totalRowCount": 7, "updatedCount": 7, "warningsRowCount": 0}}}}}',NULL,'2024-11-21 11:00:21.134116','2024-11-21 11:00:21.560646');
INSERT INTO batches VALUES('20241121T110030-f9b5c29b','anaplan/suppliers','NO01','a8ea1cef-22d7-403f-ae8a-e2f24fe3bbc1','f9b5c29b7870454f8d6a7cc40a63ad8f','open',1,'{"list": {"state": "starting", "newest": 1732186819329, "object": "112000000000", "sha256": "fbaab2753aa8d23e77384d4747e26cbd131701df6aec5368a355862db4733ceb", "rows": {"list": 1}}}',NULL,'2024-11-21 11:00:30.839797',NULL);
CREATE TABLE batch_members (
	batch_id TEXT NOT NULL, 
	position INTEGER NOT NULL, 
	op TEXT NOT NULL, 
	"key" TEXT NOT NULL, 
	source_key TEXT NOT NULL, 
	number TEXT NOT NULL, 
	hash TEXT NOT NULL, 
	payload TEXT NOT NULL, 
	target_id TEXT, 
	CONSTRAINT pk_batch_members PRIMARY KEY (batch_id, "key"), 
	CONSTRAINT fk_batch_members_batches FOREIGN KEY(batch_id) REFERENCES batches (id)
);
INSERT INTO batch_members VALUES('20241121T110030-f9b5c29b',0,'update','NO01|50000','50000','50000','e99e3cf6aff8026b018d0dc75f00d33df1ef1b0d678a6963c481e61a6778bf61','{"code":"NO01|50000","company":"NO01","country":"NO","currency":"NOK","name":"Renamed at the last moment AS","status":"Active","supplier_class":"1","supplier_number":"50000","vat_registration_id":"NO910000000MVA"}',NULL);
CREATE TABLE events (
	id INTEGER NOT NULL, 
	at DATETIME NOT NULL, 
	run_id TEXT NOT NULL, 
	destination TEXT NOT NULL, 
	company TEXT NOT NULL, 
	source_key TEXT, 
	"key" TEXT, 
	number TEXT, 
	batch_id TEXT, 
	kind TEXT NOT NULL, 
	detail TEXT NOT NULL, 
	CONSTRAINT pk_events PRIMARY KEY (id)
);
INSERT INTO events VALUES(1,'2024-11-21 11:00:14.213723','ab494280-3339-49a3-97fa-929e1433db96','visma/supplier_invoices','NO01','Invoice|100001','Invoice|100001','100001',NULL,'quarantined','{"stage": "visma", "reason": "amount: \"abc\" is no number"}');
INSERT INTO events VALUES(2,'2024-11-21 11:00:19.288038','ab494280-3339-49a3-97fa-929e1433db96','anaplan/suppliers','NO01',NULL,NULL,NULL,'20241121T110019-dfeb3696','intended','{"rows": 24}');
INSERT INTO events VALUES(3,'2024-11-21 11:00:19.773151','ab494280-3339-49a3-97fa-929e1433db96','anaplan/suppliers','NO01','50000','NO01|50000','50000','20241121T110019-dfeb3696','created','{}');
INSERT INTO events VALUES(4,'2024-11-21 11:00:19.773151','ab494280-3339-49a3-97fa-929e1433db96','anaplan/suppliers','NO01','50001','NO01|50001','50001','20241121T110019-dfeb3696','created','{}');
INSERT INTO events VALUES(5,'2024-11-21 11:00:19.773151','ab494280-3339-49a3-97fa-929e1433db96','anaplan/suppliers','NO01','50002','NO01|50002','50002','20241121T110019-dfeb3696','created','{}');
INSERT INTO events VALUES(6,'2024-11-21 11:00:19.773151','ab494280-3339-49a3-97fa-929e1433db96','anaplan/suppliers','NO01','50003','NO01|50003','50003','20241121T110019-dfeb3696','created','{}');
INSERT INTO events VALUES(7,'2024-11-21 11:00:19.773151','ab494280-3339-49a3-97fa-929e1433db96','anaplan/suppliers','NO01','50004','NO01|50004','50004','20241121T110019-dfeb3696','created','{}');
INSERT INTO events VALUES(8,'2024-11-21 11:00:19.773151','ab494280-3339-49a3-97fa-929e1433db96','anaplan/suppliers','NO01','50005','NO01|50005','50005','20241121T110019-dfeb3696','created','{}');
INSERT INTO events VALUES(9,'2024-11-21 11:00:19.773151','ab494280-3339-49a3-97fa-929e1433db96','anaplan/suppliers','NO01','50006','NO01|50006','50006','20241121T110019-dfeb3696','created','{}');
INSERT INTO events VALUES(10,'2024-11-21 11:00:19.773151','ab494280-3339-49a3-97fa-929e1433db96','anaplan/suppliers','NO01','50007','NO01|50007','50007','20241121T110019-dfeb3696','created','{}');
INSERT INTO events VALUES(11,'2024-11-21 11:00:19.773151','ab494280-3339-49a3-97fa-929e1433db96','anaplan/suppliers','NO01','50008','NO01|50008','50008','20241121T110019-dfeb3696','created','{}');
INSERT INTO events VALUES(12,'2024-11-21 11:00:19.773151','ab494280-3339-49a3-97fa-929e1433db96','anaplan/suppliers','NO01','50009','NO01|50009','50009','20241121T110019-dfeb3696','created','{}');
INSERT INTO events VALUES(13,'2024-11-21 11:00:19.773151','ab494280-3339-49a3-97fa-929e1433db96','anaplan/suppliers','NO01','50010','NO01|50010','50010','20241121T110019-dfeb3696','created','{}');
INSERT INTO events VALUES(14,'2024-11-21 11:00:19.773151','ab494280-3339-49a3-97fa-929e1433db96','anaplan/suppliers','NO01','50011','NO01|50011','50011','20241121T110019-dfeb3696','created','{}');
INSERT INTO events VALUES(15,'2024-11-21 11:00:19.773151','ab494280-3339-49a3-97fa-929e1433db96','anaplan/suppliers','NO01','50012','NO01|50012','50012','20241121T110019-dfeb3696','created','{}');
INSERT INTO events VALUES(16,'2024-11-21 11:00:19.773151','ab494280-3339-49a3-97fa-929e1433db96','anaplan/suppliers','NO01','50013','NO01|50013','50013','20241121T110019-dfeb3696','created','{}');
INSERT INTO events VALUES(17,'2024-11-21 11:00:19.773151','ab494280-3339-49a3-97fa-929e1433db96','anaplan/suppliers','NO01','50014','NO01|50014','50014','20241121T110019-dfeb3696','created','{}');
INSERT INTO events VALUES(18,'2024-11-21 11:00:19.773151','ab494280-3339-49a3-97fa-929e1433db96','anaplan/suppliers','NO01','50015','NO01|50015','50015','20241121T110019-dfeb3696','created','{}');
INSERT INTO events VALUES(19,'2024-11-21 11:00:19.773151','ab494280-3339-49a3-97fa-929e1433db96','anaplan/suppliers','NO01','50016','NO01|50016','50016','20241121T110019-dfeb3696','created','{}');
INSERT INTO events VALUES(20,'2024-11-21 11:00:19.773151','ab494280-3339-49a3-97fa-929e1433db96','anaplan/suppliers','NO01','50017','NO01|50017','50017','20241121T110019-dfeb3696','created','{}');
INSERT INTO events VALUES(21,'2024-11-21 11:00:19.773151','ab494280-3339-49a3-97fa-929e1433db96','anaplan/suppliers','NO01','50018','NO01|50018','50018','20241121T110019-dfeb3696','created','{}');
INSERT INTO events VALUES(22,'2024-11-21 11:00:19.773151','ab494280-3339-49a3-97fa-929e1433db96','anaplan/suppliers','NO01','50019','NO01|50019','50019','20241121T110019-dfeb3696','created','{}');
INSERT INTO events VALUES(23,'2024-11-21 11:00:19.773151','ab494280-3339-49a3-97fa-929e1433db96','anaplan/suppliers','NO01','50020','NO01|50020','50020','20241121T110019-dfeb3696','created','{}');
INSERT INTO events VALUES(24,'2024-11-21 11:00:19.773151','ab494280-3339-49a3-97fa-929e1433db96','anaplan/suppliers','NO01','50021','NO01|50021','50021','20241121T110019-dfeb3696','created','{}');
INSERT INTO events VALUES(25,'2024-11-21 11:00:19.773151','ab494280-3339-49a3-97fa-929e1433db96','anaplan/suppliers','NO01','50022','NO01|50022','50022','20241121T110019-dfeb3696','created','{}');
INSERT INTO events VALUES(26,'2024-11-21 11:00:19.773151','ab494280-3339-49a3-97fa-929e1433db96','anaplan/suppliers','NO01','50023','NO01|50023','50023','20241121T110019-dfeb3696','created','{}');
INSERT INTO events VALUES(27,'2024-11-21 11:00:19.775317','ab494280-3339-49a3-97fa-929e1433db96','anaplan/suppliers','NO01',NULL,NULL,NULL,'20241121T110019-dfeb3696','landed','{"rows": 24, "list task": "ED07BB9FD3C04896A1CDEC495B3DB71A", "list rows": 24, "data task": "B7832F8D090B463EB637FDC0965B544C", "data rows": 24, "list created": 24, "data updated": 24}');
INSERT INTO events VALUES(28,'2024-11-21 11:00:21.135963','ab494280-3339-49a3-97fa-929e1433db96','anaplan/supplier_invoices','NO01',NULL,NULL,NULL,'20241121T110021-5d54fc3e','intended','{"rows": 7}');
INSERT INTO events VALUES(29,'2024-11-21 11:00:21.558005','ab494280-3339-49a3-97fa-929e1433db96','anaplan/supplier_invoices','NO01','Invoice|100002','NO01|Invoice|100002','100002','20241121T110021-5d54fc3e','created','{}');
INSERT INTO events VALUES(30,'2024-11-21 11:00:21.558005','ab494280-3339-49a3-97fa-929e1433db96','anaplan/supplier_invoices','NO01','Invoice|100003','NO01|Invoice|100003','100003','20241121T110021-5d54fc3e','created','{}');
INSERT INTO events VALUES(31,'2024-11-21 11:00:21.558005','ab494280-3339-49a3-97fa-929e1433db96','anaplan/supplier_invoices','NO01','Invoice|100004','NO01|Invoice|100004','100004','20241121T110021-5d54fc3e','created','{}');
INSERT INTO events VALUES(32,'2024-11-21 11:00:21.558005','ab494280-3339-49a3-97fa-929e1433db96','anaplan/supplier_invoices','NO01','Invoice|100005','NO01|Invoice|100005','100005','20241121T110021-5d54fc3e','created','{}');
INSERT INTO events VALUES(33,'2024-11-21 11:00:21.558005','ab494280-3339-49a3-97fa-929e1433db96','anaplan/supplier_invoices','NO01','Invoice|100006','NO01|Invoice|100006','100006','20241121T110021-5d54fc3e','created','{}');
INSERT INTO events VALUES(34,'2024-11-21 11:00:21.558005','ab494280-3339-49a3-97fa-929e1433db96','anaplan/supplier_invoices','NO01','Invoice|100007','NO01|Invoice|100007','100007','20241121T110021-5d54fc3e','created','{}');
INSERT INTO events VALUES(35,'2024-11-21 11:00:21.558005','ab494280-3339-49a3-97fa-929e1433db96','anaplan/supplier_invoices','NO01','Invoice|100008','NO01|Invoice|100008','100008','20241121T110021-5d54fc3e','created','{}');
INSERT INTO events VALUES(36,'2024-11-21 11:00:21.561157','ab494280-3339-49a3-97fa-929e1433db96','anaplan/supplier_invoices','NO01',NULL,NULL,NULL,'20241121T110021-5d54fc3e','landed','{"rows": 7, "list task": "47F2846BAF964E94A2E2DB79A26E49E5", "list rows": 7, "data task": "2AEEF94FFA1C4B9C8C875057DB3AB129", "data rows": 7, "list created": 7, "data updated": 7}');
INSERT INTO events VALUES(37,'2024-11-21 11:00:30.854428','a8ea1cef-22d7-403f-ae8a-e2f24fe3bbc1','anaplan/suppliers','NO01',NULL,NULL,NULL,'20241121T110030-f9b5c29b','intended','{"rows": 1}');
CREATE TABLE quarantine (
	id INTEGER NOT NULL, 
	stage TEXT NOT NULL, 
	place TEXT NOT NULL, 
	company TEXT NOT NULL, 
	"key" TEXT NOT NULL, 
	source_key TEXT, 
	number TEXT, 
	reason TEXT NOT NULL, 
	raw TEXT NOT NULL, 
	run_id TEXT NOT NULL, 
	first_at DATETIME NOT NULL, 
	last_at DATETIME NOT NULL, 
	resolved_at DATETIME, 
	CONSTRAINT pk_quarantine PRIMARY KEY (id)
);
INSERT INTO quarantine VALUES(1,'visma','visma/supplier_invoices','NO01','Invoice|100001','Invoice|100001','100001','amount: "abc" is no number','{"referenceNumber":"100001","documentType":"Invoice","status":"Open","hold":false,"financialPeriod":"202410","origInvoiceDate":"2024-10-14T00:00:00","currencyId":"NOK","exchangeRate":1.0000,"detailTotal":6229.95,"detailTotalInCurrency":6229.95,"vatTotal":747.59,"vatTotalInCurrency":747.59,"vatTaxableTotal":6229.95,"vatTaxableTotalInCurrency":6229.95,"vatExemptTotal":0.00,"vatExemptTotalInCurrency":0.00,"discountTotal":0,"discountTotalInCurrency":0,"cashDiscount":0,"cashDiscountInCurrency":0,"roundingDiff":0,"balance":6977.54,"balanceInCurrency":6977.54,"location":{"countryId":"NO","id":"MAIN","name":"Primary Location"},"branchNumber":{"number":"1","name":"Eksempelverk Norge AS"},"cashAccount":"1920","creditTerms":{"id":"45","description":"Netto 45"},"paymentMethod":{"id":"1","description":"Bank"},"supplier":{"internalId":3016,"number":"50016","name":"H\u00f8nefoss Bygg AS"},"date":"2024-10-14T00:00:00","dueDate":"2024-11-28T00:00:00","payDate":"2024-11-28T00:00:00","postPeriod":"102024","approvalStatus":"ApprovedInApproval","amount":"abc","vatAmount":747.59,"withholdingTax":0,"withholdingTaxInCurrency":0,"roundingDiffInCurrency":0,"curyRetainageTotal":0,"curyRetainageUnreleasedAmt":0,"supplierReference":"5238580","supplierTaxZone":{"id":"01","description":"Innland","defaultVatCategory":"1"},"taxCalculationMode":"TaxSetting","paySelected":false,"retainageApply":false,"documentVersionNumber":3,"taxDetailLines":[{"taxId":"13","recordId":1,"vatId":{"number":"13","description":"Mva lav sats"},"vatRate":12,"taxableAmount":6229.95,"vatAmount":747.59}],"landedCosts":[],"attachments":[],"approvalDetails":{"comment":"Godkjent"},"invoiceLines":[{"lineNumber":1,"quantity":0.75,"unitCost":831.4500,"unitCostInCurrency":831.4500,"cost":623.59,"costInCurrency":623.59,"uom":"TIMER","discountPercent":0,"discountAmount":0,"discountAmountInCurrency":0,"manualDiscount":false,"account":{"type":"Expense","number":"6800","description":"Kontorrekvisita"},"subaccount":{"subaccountNumber":"190-06","subaccountId":1096,"description":"Markedsf\u00f8ring - Kj\u00f8lehus Bod\u00f8","active":true,"segments":[{"segmentId":1,"segmentDescription":"Avdeling","segmentValue":"190","segmentValueDescription":"Markedsf\u00f8ring"},{"segmentId":2,"segmentDescription":"Prosjekt","segmentValue":"06","segmentValueDescription":"Kj\u00f8lehus Bod\u00f8"}]},"vatCode":{"id":"13","description":"Mva lav sats"},"inventoryNumber":"D7","stockItem":false,"transactionDescription":"B\u00e5tbyggeri frakt","discountUnitCost":0,"discountUnitCostInCurrency":0,"branchNumber":{"number":"1","name":"Eksempelverk Norge AS"},"prebookAccount":{"type":"Asset","number":"1700","description":"Forskuddsbetalt leie"},"prebookSubaccount":{"subaccountNumber":"100-00","subaccountId":1000,"description":"Administrasjon","active":true,"segments":[{"segmentId":1,"segmentDescription":"Avdeling","segmentValue":"100","segmentValueDescription":"Administrasjon"},{"segmentId":2,"segmentDescription":"Prosjekt","segmentValue":"00","segmentValueDescription":"Ingen"}]},"attachments":[],"retainagePct":0,"curyRetainageAmt":0,"poNumber":"500001","poLineNr":1,"poReceiptNbr":"600001","poReceiptLineNbr":1},{"lineNumber":2,"quantity":6.37,"unitCost":880.1200,"unitCostInCurrency":880.1200,"cost":5606.36,"costInCurrency":5606.36,"uom":"TIMER","discountPercent":0,"discountAmount":0,"discountAmountInCurrency":0,"manualDiscount":false,"account":{"type":"Expense","number":"6800","description":"Kontorrekvisita"},"subaccount":{"subaccountNumber":"110-05","subaccountId":1015,"description":"Salg - Digitalisering","active":true,"segments":[{"segmentId":1,"segmentDescription":"Avdeling","segmentValue":"110","segmentValueDescription":"Salg"},{"segmentId":2,"segmentDescription":"Prosjekt","segmentValue":"05","segmentValueDescription":"Digitalisering"}]},"vatCode":{"id":"13","description":"Mva lav sats"},"inventoryNumber":"A2","stockItem":false,"transactionDescription":"Bygg m\u00e5nedlig avtale","discountUnitCost":0,"discountUnitCostInCurrency":0,"branchNumber":{"number":"1","name":"Eksempelverk Norge AS"},"prebookAccount":{"type":"Asset","number":"1700","description":"Forskuddsbetalt leie"},"prebookSubaccount":{"subaccountNumber":"100-00","subaccountId":1000,"description":"Administrasjon","active":true,"segments":[{"segmentId":1,"segmentDescription":"Avdeling","segmentValue":"100","segmentValueDescription":"Administrasjon"},{"segmentId":2,"segmentDescription":"Prosjekt","segmentValue":"00","segmentValueDescription":"Ingen"}]},"attachments":[],"retainagePct":0,"curyRetainageAmt":0,"project":{"internalId":404,"id":"P04","description":"B\u00e5tservice"},"projectTask":{"internalId":504,"id":"10","description":"Utf\u00f8relse"},"poNumber":"500001","poLineNr":2,"poReceiptNbr":"600001","poReceiptLineNbr":2}],"lastModifiedDateTime":"2024-11-20T12:00:11.577","createdDateTime":"2024-10-14T08:42:20.061","timeStamp":"AAAAAAAfQCo="}','ab494280-3339-49a3-97fa-929e1433db96','2024-11-21 11:00:14.213723','2024-11-21 11:00:14.213723',NULL);
CREATE TABLE leases (
	name TEXT NOT NULL, 
	holder TEXT, 
	fence BIGINT NOT NULL, 
	acquired_at DATETIME NOT NULL, 
	expires_at DATETIME NOT NULL, 
	CONSTRAINT pk_leases PRIMARY KEY (name)
);
INSERT INTO leases VALUES('anaplan-model:5C6E7F8091A2B3C4D5E6F708192A3B4C','vm, process 634, run a8ea1cef-22d7-403f-ae8a-e2f24fe3bbc1',3,'2024-11-21 11:00:30.583787','2024-11-21 11:01:30.583787');
INSERT INTO leases VALUES('delivery:anaplan/suppliers:NO01','vm, process 634, run a8ea1cef-22d7-403f-ae8a-e2f24fe3bbc1',2,'2024-11-21 11:00:30.583787','2024-11-21 11:01:30.583787');
INSERT INTO leases VALUES('delivery:anaplan/supplier_invoices:NO01',NULL,1,'2024-11-21 11:00:21.028324','2024-11-21 11:00:21.583320');
CREATE TABLE deliveries (
	destination TEXT NOT NULL, 
	company TEXT NOT NULL, 
	fingerprint TEXT, 
	run_id TEXT NOT NULL, 
	generation BIGINT NOT NULL, 
	started_at DATETIME NOT NULL, 
	finished_at DATETIME, 
	CONSTRAINT pk_deliveries PRIMARY KEY (destination, company)
);
INSERT INTO deliveries VALUES('anaplan/suppliers','NO01',NULL,'a8ea1cef-22d7-403f-ae8a-e2f24fe3bbc1',2,'2024-11-21 11:00:30.821295',NULL);
INSERT INTO deliveries VALUES('anaplan/supplier_invoices','NO01','a4a19100cd7f4240dc407f0b2d223f23e13fca7699f6d6f2d3d483fc50a816d9','ab494280-3339-49a3-97fa-929e1433db96',1,'2024-11-21 11:00:21.132485','2024-11-21 11:00:21.570525');
CREATE TABLE deferrals (
	id INTEGER NOT NULL, 
	pair TEXT NOT NULL, 
	company TEXT NOT NULL, 
	first_day DATE NOT NULL, 
	last_day DATE NOT NULL, 
	opens_at DATETIME NOT NULL, 
	reason TEXT NOT NULL, 
	created_at DATETIME NOT NULL, 
	taken_at DATETIME, 
	CONSTRAINT pk_deferrals PRIMARY KEY (id)
);
INSERT INTO deferrals VALUES(1,'anaplan','NO01','2024-11-20','2024-11-21','2024-11-21 12:00:23.358801','a lockout','2024-11-21 11:00:23.362938',NULL);
CREATE TABLE budgets (
	name TEXT NOT NULL, 
	state TEXT NOT NULL, 
	closed_until DATETIME, 
	updated_at DATETIME NOT NULL, 
	CONSTRAINT pk_budgets PRIMARY KEY (name)
);
INSERT INTO budgets VALUES('visma:NO01','{"limit": null, "remaining": null, "resets_at": 1732190413.397174, "outstanding": 4, "leased_at": 1732186826.1431}',NULL,'2024-11-21 11:00:26.152686');
INSERT INTO budgets VALUES('anaplan:http://127.0.0.1:36323/anaplan/2/0','{"arrival": [1732186832240482], "turns": {"tally": 49, "members": {"5C6E7F8091A2B3C4D5E6F708192A3B4C": {"tally": 56, "waits_until": 1732186830.885312}}}}',NULL,'2024-11-21 11:00:30.896482');
CREATE TABLE sent_days (
	destination TEXT NOT NULL, 
	company TEXT NOT NULL, 
	day DATE NOT NULL, 
	read_at DATETIME NOT NULL, 
	CONSTRAINT pk_sent_days PRIMARY KEY (destination, company, day)
);
INSERT INTO sent_days VALUES('anaplan/suppliers','NO01','2024-11-14','2024-11-21 11:00:14.657459');
INSERT INTO sent_days VALUES('anaplan/suppliers','NO01','2024-11-15','2024-11-21 11:00:14.657459');
INSERT INTO sent_days VALUES('anaplan/suppliers','NO01','2024-11-16','2024-11-21 11:00:14.657459');
INSERT INTO sent_days VALUES('anaplan/suppliers','NO01','2024-11-17','2024-11-21 11:00:14.657459');
INSERT INTO sent_days VALUES('anaplan/suppliers','NO01','2024-11-18','2024-11-21 11:00:14.657459');
INSERT INTO sent_days VALUES('anaplan/suppliers','NO01','2024-11-19','2024-11-21 11:00:14.657459');
INSERT INTO sent_days VALUES('anaplan/suppliers','NO01','2024-11-20','2024-11-21 11:00:14.657459');
INSERT INTO sent_days VALUES('anaplan/suppliers','NO01','2024-11-21','2024-11-21 11:00:14.657459');
INSERT INTO sent_days VALUES('anaplan/supplier_invoices','NO01','2024-11-14','2024-11-21 11:00:13.397005');
INSERT INTO sent_days VALUES('anaplan/supplier_invoices','NO01','2024-11-15','2024-11-21 11:00:13.397005');
INSERT INTO sent_days VALUES('anaplan/supplier_invoices','NO01','2024-11-16','2024-11-21 11:00:13.397005');
INSERT INTO sent_days VALUES('anaplan/supplier_invoices','NO01','2024-11-17','2024-11-21 11:00:13.397005');
INSERT INTO sent_days VALUES('anaplan/supplier_invoices','NO01','2024-11-18','2024-11-21 11:00:13.397005');
INSERT INTO sent_days VALUES('anaplan/supplier_invoices','NO01','2024-11-19','2024-11-21 11:00:13.397005');
INSERT INTO sent_days VALUES('anaplan/supplier_invoices','NO01','2024-11-20','2024-11-21 11:00:13.397005');
INSERT INTO sent_days VALUES('anaplan/supplier_invoices','NO01','2024-11-21','2024-11-21 11:00:13.397005');
CREATE TABLE sweeps (
	entity TEXT NOT NULL, 
	company TEXT NOT NULL, 
	first_day DATE NOT NULL, 
	last_day DATE NOT NULL, 
	reached DATE, 
	started_at DATETIME NOT NULL, 
	CONSTRAINT pk_sweeps PRIMARY KEY (entity, company, first_day, last_day)
);
CREATE TABLE vault (
	name TEXT NOT NULL, 
	version BIGINT NOT NULL, 
	sealed TEXT, 
	written_at DATETIME NOT NULL, 
	written_by TEXT NOT NULL, 
	CONSTRAINT pk_vault PRIMARY KEY (name)
);
INSERT INTO vault VALUES('anaplan',1,'gAAAAABrAyrr-ncsRi5wOBzNMV-LKv45snVEX66K73B0i4R9f4fIl40BiRooMLfS1-DFWGwDUC7iLohG1NSAn2vA8h3-s_vLRwUCztRyeXt4Kh8a7TT0IvMDn_cZs63t1MZXpfSp7kCn','2024-11-21 11:00:23.314948','cli');
CREATE TABLE target_state (
	target TEXT NOT NULL, 
	name TEXT NOT NULL, 
	revision BIGINT NOT NULL, 
	value TEXT NOT NULL, 
	updated_at DATETIME NOT NULL, 
	CONSTRAINT pk_target_state PRIMARY KEY (target, name)
);
CREATE INDEX ix_records_destination_company_source_key ON records (destination, company, source_key);
CREATE INDEX ix_records_number ON records (number);
CREATE INDEX ix_batches_destination_company_state ON batches (destination, company, state);
CREATE INDEX ix_batch_members_number ON batch_members (number);
CREATE INDEX ix_events_number ON events (number);
CREATE INDEX ix_events_batch_id ON events (batch_id);
CREATE INDEX ix_quarantine_stage_place_company_key ON quarantine (stage, place, company, "key");
CREATE INDEX ix_quarantine_number ON quarantine (number);
CREATE INDEX ix_quarantine_source_key ON quarantine (source_key);
CREATE INDEX ix_deferrals_pair_company_opens_at ON deferrals (pair, company, opens_at);
COMMIT;

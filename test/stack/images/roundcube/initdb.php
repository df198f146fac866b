<?php
// initdb.php HOST PORT DATABASE USER PASSWORD: loads Roundcube's schema into a database without it.
// Debian leaves the upstream program for this out.
[, $host, $port, $name, $user, $password] = $argv;
$db = new PDO("mysql:host=$host;port=$port;dbname=$name;charset=utf8mb4", $user, $password);
if (!$db->query("SHOW TABLES LIKE 'system'")->fetch()) {
    echo "Creating database schema...\n";
    $db->exec(file_get_contents('/var/www/html/SQL/mysql.initial.sql'));
}

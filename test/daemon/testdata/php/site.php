<?php
$config["use_https"] = true;

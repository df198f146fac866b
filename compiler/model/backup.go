package model

// Backup is what is kept of the data. Times are on the host's clock.
type Backup struct {
	Daily struct {
		At string `json:"at"` // HH:MM
	} `json:"daily"`
	Weekly struct {
		On string `json:"on"` // monday … sunday
	} `json:"weekly"`
	Local struct {
		Path       string `json:"path"`
		KeepDaily  int    `json:"keepDaily"`
		KeepWeekly int    `json:"keepWeekly"`
	} `json:"local"`
	Offsite    *Offsite `json:"offsite,omitempty"`
	Recipients []string `json:"recipients"`
	// Signers are the public keys, in base64, whose backups are believed besides those of the present one.
	Signers       map[string]Signer `json:"signers,omitempty"`
	Classes       []string          `json:"classes"`
	DeadlineHours int               `json:"deadlineHours"`
	Drill         struct {
		EveryDays  int `json:"everyDays"`
		MaxAgeDays int `json:"maxAgeDays"`
	} `json:"drill"`
	ScanBeforeRestore bool `json:"scanBeforeRestore"`
}

// Signer is a key that signs backups, did or will. Retired is the day since which it does not.
type Signer struct {
	Retired string `json:"retired,omitempty"`
}

// Offsite is a bucket with Object Lock.
type Offsite struct {
	S3        S3        `json:"s3"`
	Terraform Terraform `json:"terraform"`
}

// S3 is the bucket. ExpireDays is the lifecycle's, LockDays are promised.
type S3 struct {
	Bucket   string `json:"bucket"`
	Region   string `json:"region"`
	Endpoint string `json:"endpoint,omitempty"`
	Prefix   string `json:"prefix"`
	Lock     struct {
		Mode string `json:"mode"`
		Days int    `json:"days"`
	} `json:"lock"`
	ExpireDays      int       `json:"expireDays"`
	AccessKeyID     SecretRef `json:"accessKeyID"`
	SecretAccessKey SecretRef `json:"secretAccessKey"`
}

// Terraform is the cloud side of the backup.
type Terraform struct {
	State struct {
		Bucket        string `json:"bucket"`
		Key           string `json:"key"`
		Region        string `json:"region"`
		Lockfile      bool   `json:"lockfile"`
		DynamoDBTable string `json:"dynamoDBTable,omitempty"`
	} `json:"state"`
	Environment    string            `json:"environment"`
	Tags           map[string]string `json:"tags"`
	MonthlyCostUSD float64           `json:"monthlyCostUSD"`
	AlertEmail     string            `json:"alertEmail,omitempty"`
}

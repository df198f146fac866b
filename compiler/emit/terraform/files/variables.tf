
variable "region" {
  description = "Region of the bucket."
  type        = string
}

variable "bucket" {
  description = "Name of the bucket."
  type        = string
}

variable "prefix" {
  description = "Before all keys of this site; empty where the bucket is its own."
  type        = string
  default     = ""
}

variable "lock_mode" {
  description = "COMPLIANCE binds everybody, GOVERNANCE is for staging."
  type        = string
  default     = "COMPLIANCE"

  validation {
    condition     = contains(["COMPLIANCE", "GOVERNANCE"], var.lock_mode)
    error_message = "Write COMPLIANCE or GOVERNANCE."
  }
}

variable "lock_days" {
  description = "Days for which what is stored cannot be deleted. More can never be taken back."
  type        = number

  validation {
    condition     = var.lock_days >= 1 && var.lock_days <= 3650
    error_message = "Write 1 to 3650 days."
  }
}

variable "expire_days" {
  description = "Days after which the lifecycle removes a copy. A copy is locked for lock_days after the week in which it was made."
  type        = number

  validation {
    condition     = var.expire_days >= 9
    error_message = "A copy may be needed for 8 days more than it is locked."
  }
}

variable "deadline_hours" {
  description = "Hours without a new backup that raise the alarm."
  type        = number

  validation {
    condition     = var.deadline_hours >= 1 && var.deadline_hours <= 168
    error_message = "CloudWatch looks back 168 hours at most."
  }
}

variable "max_size_gb" {
  description = "Size of all copies that raises the alarm."
  type        = number
}

variable "monthly_cost_usd" {
  description = "Charges of the account in a month that raise the alarm."
  type        = number
}

variable "alert_email" {
  description = "Receives the alarms; empty: nobody, until something else subscribes to the topics."
  type        = string
  default     = ""
}

variable "tags" {
  description = "On every resource."
  type        = map(string)
}

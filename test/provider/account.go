package provider

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// account is what lives, in a file that several processes share: Terraform starts one for each configuration.
type account struct{ file string }

// Account is the content of the file. Tests change it to make drift and faults.
type Account struct {
	// Resources by "type/id".
	Resources map[string]map[string]any `json:"resources"`
	// Faults are errors that calls answer with, once each, by "create aws_sns_topic" and the like.
	Faults map[string]string `json:"faults,omitempty"`
	// Effects counts successful creations, updates and deletions, by the same names.
	Effects map[string]int `json:"effects"`
}

// Read is the account kept in a file; an empty one if there is none.
func Read(file string) (Account, error) {
	a := Account{Resources: map[string]map[string]any{}, Faults: map[string]string{}, Effects: map[string]int{}}
	data, err := os.ReadFile(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return a, nil
	case err != nil:
		return a, fmt.Errorf("read the account: %w", err)
	}
	if err := json.Unmarshal(data, &a); err != nil {
		return a, fmt.Errorf("read the account: %w", err)
	}
	return a, nil
}

// Edit changes the account kept in a file, with nobody else at it.
func Edit(file string, edit func(*Account) error) error {
	lock, err := os.OpenFile(file+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("lock the account: %w", err)
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return fmt.Errorf("lock the account: %w", err)
	}
	a, err := Read(file)
	if err != nil {
		return err
	}
	failed := edit(&a)
	data, err := json.MarshalIndent(a, "", " ")
	if err != nil {
		return fmt.Errorf("keep the account: %w", err)
	}
	temp := filepath.Join(filepath.Dir(file), "."+filepath.Base(file)+".new")
	if err := os.WriteFile(temp, data, 0o600); err != nil {
		return fmt.Errorf("keep the account: %w", err)
	}
	return errors.Join(failed, os.Rename(temp, file))
}

// do changes the account as one call of the API does: refused whole by a fault, counted if it took effect.
func (a *account) do(call string, edit func(*Account) error) error {
	return Edit(a.file, func(content *Account) error {
		if fault, ok := content.Faults[call]; ok {
			delete(content.Faults, call)
			return errors.New(fault)
		}
		if err := edit(content); err != nil {
			return err
		}
		content.Effects[call]++
		return nil
	})
}

package model

// UnitsProgram is the program of the project, below its folder, that brings the host's systemd to the project's units.
const UnitsProgram = "scripts/host-units"

//! A provider that can't be trusted: each of its tricks is refused by clients, for
//! its own reason, or found by an audit.

#[path = "trust/audits.rs"]
mod audits;
#[path = "trust/clocks.rs"]
mod clocks;
#[path = "trust/commands.rs"]
mod commands;
#[path = "trust/forgery.rs"]
mod forgery;
#[path = "trust/histories.rs"]
mod histories;
#[path = "trust/rogue.rs"]
mod rogue;
#[path = "trust/watching.rs"]
mod watching;

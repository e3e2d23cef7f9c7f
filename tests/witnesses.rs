//! Witnesses of the log: one of somebody else's making cosigns what the real server
//! publishes, and what others answer does no harm.

#[path = "witnesses/answers.rs"]
mod answers;
#[path = "witnesses/cosigned.rs"]
mod cosigned;
#[path = "witnesses/followed.rs"]
mod followed;
#[path = "witnesses/operator.rs"]
mod operator;

//! What an attacker with an account gets who follows no rule. Each test states a
//! bound, and the attack that comes nearest to it.

#[path = "attacks/attacker.rs"]
mod attacker;
#[path = "attacks/buckets.rs"]
mod buckets;
#[path = "attacks/keys.rs"]
mod keys;
#[path = "attacks/points.rs"]
mod points;
#[path = "attacks/replay.rs"]
mod replay;
#[path = "attacks/selections.rs"]
mod selections;

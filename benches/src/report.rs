//! The report: the PIR core on databases of uniform bytes of several sizes,
//! beside the machine's own read bandwidth, in one run.
//!
//! | part | where |
//! |---|---|
//! | one size: passes, set-up, client | [`mod@measure`] |
//! | processor, caches, memory, load | [`machine`] |
//! | what others have published | [`published`] |
//! | figures with their units, and the files | [`record`] |
//! | the report as Markdown | `table` |
//! | the report as plots | `plots` |

pub mod machine;
pub mod measure;
mod plots;
pub mod published;
pub mod record;
mod table;

pub use measure::{Options, measure};
pub use record::Report;

//! Long work beside which requests are answered.

use rayon::{ThreadPoolBuildError, ThreadPoolBuilder};

/// How much further back such work stands in the queue for processors than what
/// answers requests: the share that it gets where both want all of a processor
/// is a tenth.
#[cfg(target_os = "linux")]
const NICENESS: i32 = 10;

/// Does something, and all that it hands to rayon, on threads of its own, as many
/// as there are processors, which give way to all others. Waits for it.
///
/// # Errors
/// If the threads can't be started.
pub fn run<T: Send>(work: impl FnOnce() -> T + Send) -> Result<T, ThreadPoolBuildError> {
    let threads = ThreadPoolBuilder::new()
        .thread_name(|thread| format!("background-{thread}"))
        .start_handler(|_| give_way())
        .build()?;
    Ok(threads.install(work))
}

/// Lowers the priority of this thread alone: in Linux a thread has its own. If
/// that fails, the work is done all the same.
fn give_way() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::setpriority_process(None, NICENESS) {
        tracing::debug!(%error, "builds have the priority of requests");
    }
}

#[cfg(test)]
mod tests {
    use rayon::prelude::*;

    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn only_its_own_threads_give_way() {
        let niceness = || rustix::process::getpriority_process(None).unwrap();
        let before = niceness();
        let inside = run(|| {
            let of_tasks = (0..64).into_par_iter().map(|_| niceness());
            (niceness(), of_tasks.collect::<Vec<i32>>())
        });
        let (inside, of_tasks) = inside.unwrap();
        assert_eq!(inside, NICENESS.max(before));
        assert!(of_tasks.into_iter().all(|of_task| of_task == inside));
        assert_eq!(niceness(), before);
    }
}

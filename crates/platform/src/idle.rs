//! Threads for work that can wait: they get the processor when nobody else in the machine wants it, and
//! a small share when somebody always does.

use std::fmt;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

/// How far the threads step back. On Linux a thread of niceness 10 gets a tenth of what a thread of
/// niceness 0 gets on the same processor: little, but it never stands still.
const NICENESS: i32 = 10;

type Work = Box<dyn FnOnce() + Send>;

/// Threads of low priority with one queue. Dropping this lets them finish what is queued and end.
pub struct IdleThreads {
    work: Sender<Work>,
}

impl fmt::Debug for IdleThreads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IdleThreads").finish_non_exhaustive()
    }
}

impl IdleThreads {
    /// Starts `count` threads of that name, at least one.
    pub fn start(name: &str, count: usize) -> std::io::Result<Self> {
        let (work, queue) = channel();
        let queue = Arc::new(Mutex::new(queue));
        for index in 0..count.max(1) {
            let queue = Arc::clone(&queue);
            std::thread::Builder::new()
                .name(format!("{name}-{index}"))
                .spawn(move || {
                    step_back();
                    while let Some(work) = next(&queue) {
                        work();
                    }
                })?;
        }
        Ok(Self { work })
    }

    /// Queues work. It must not panic: its thread would be lost.
    pub fn run(&self, work: impl FnOnce() + Send + 'static) {
        // The threads live as long as the queue.
        let _ = self.work.send(Box::new(work));
    }
}

fn next(queue: &Mutex<Receiver<Work>>) -> Option<Work> {
    // Whoever holds the lock waits for work; the others wait for the lock.
    queue.lock().ok()?.recv().ok()
}

/// Linux counts priority by thread. A system that refuses leaves the thread as it is.
fn step_back() {
    let _ = rustix::process::setpriority_process(None, NICENESS);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_done_with_low_priority_and_the_rest_keeps_its_own() {
        let threads = IdleThreads::start("idle-test", 2).expect("threads");
        let own = rustix::process::getpriority_process(None).expect("a priority");
        let (tell, told) = channel();
        for number in 0..100 {
            let tell = tell.clone();
            threads.run(move || {
                let nice = rustix::process::getpriority_process(None);
                tell.send((number, nice.ok())).expect("the test waits");
            });
        }
        drop((threads, tell));
        let mut done: Vec<_> = told.iter().collect();
        done.sort_unstable();
        let expected: Vec<_> = (0..100).map(|n| (n, Some(NICENESS.max(own)))).collect();
        assert_eq!(done, expected, "queued work is finished after the drop");
        let after = rustix::process::getpriority_process(None).expect("a priority");
        assert_eq!(after, own);
    }
}

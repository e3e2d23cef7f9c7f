//! A file system that is full.

use std::process::Command;

use super::*;

/// A file system in memory, of a bounded size, until it is dropped.
struct Small(tempfile::TempDir);

impl Small {
    fn mount(bytes: u64) -> Option<Self> {
        let small = Self(tempfile::tempdir().unwrap());
        small.run(&format!("size={bytes}")).then_some(small)
    }

    fn run(&self, options: &str) -> bool {
        Command::new("mount")
            .args(["-t", "tmpfs", "-o", options, "tmpfs"])
            .arg(self.0.path())
            .output()
            .is_ok_and(|done| done.status.success())
    }

    fn resize(&self, bytes: u64) {
        assert!(self.run(&format!("remount,size={bytes}")));
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        // It may never have been mounted.
        let _ = Command::new("umount").arg(self.0.path()).output();
    }
}

#[test]
fn a_full_disk_leaves_the_old_snapshot_and_is_overcome_by_space() {
    let provider = Provider::new(4);
    let length = fs::metadata(load(&provider).path()).unwrap().len();
    let Some(small) = Small::mount(length * 8) else {
        eprintln!("skipped: file systems can't be mounted here");
        return;
    };
    let directory = small.0.path();
    let build = || {
        provider
            .build_with(directory, |_| ())
            .map(|built| built.snapshot)
    };
    let first = build().unwrap();
    let used: u64 = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().metadata().unwrap().len())
        .sum();
    let key = provider.data.provider_public_key().unwrap();
    // Room for nothing, for half of the file, for nearly all of it.
    for room in [8192, length / 2, length - 4096] {
        provider.put(&provider.records[..1]);
        small.resize(used.next_multiple_of(4096) + 8192 + room);
        let error = build().unwrap_err().to_string();
        assert!(error.contains("free some space"), "{error}");
        assert_eq!(current::read(directory).unwrap(), first);
        load_from(directory, first, &key).unwrap();
        let names = fs::read_dir(directory).unwrap();
        let names = names.map(|entry| entry.unwrap().file_name());
        assert!(
            names
                .into_iter()
                .all(|name| !name.to_string_lossy().ends_with(".tmp"))
        );
    }
    small.resize(length * 8);
    let second = build().unwrap();
    let second = load_from(directory, second, &key).unwrap();
    assert_eq!(second.manifest().sequence, 2);
}

//! The key-value storage, without guests: what is answered is kept, and counted, and found again.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::mpsc;

use pilotlight_core::kv::{Code, Delta, Done, Expect, Kind, Kv, KvError, Op, Place, Settings, Sync};

fn place(tenant: &str, store: &str) -> Place {
    Place::new(tenant, store).unwrap()
}

fn memory() -> Kv {
    Kv::start(Settings::default()).unwrap()
}

fn on_disk(path: &Path, sync: Sync) -> Result<Kv, KvError> {
    Kv::start(Settings { path: Some(path.to_owned()), sync, ..Settings::default() })
}

fn write(kv: &Kv, op: Op) -> Result<Done, KvError> {
    let (sender, receiver) = mpsc::channel();
    kv.submit(op, Box::new(move |result| sender.send(result).unwrap()));
    receiver.recv().unwrap()
}

fn revision(done: Result<Done, KvError>) -> u64 {
    match done {
        Ok(Done::Revision(revision)) => revision,
        other => panic!("not a revision: {other:?}"),
    }
}

fn put_if(place: &Place, key: &str, value: &[u8], expect: Expect) -> Op {
    Op::Put { place: place.clone(), key: key.into(), value: value.into(), expect }
}

fn put(kv: &Kv, place: &Place, key: &str, value: &str) -> u64 {
    revision(write(kv, put_if(place, key, value.as_bytes(), Expect::Anything)))
}

fn delete(kv: &Kv, place: &Place, key: &str) -> u64 {
    revision(write(kv, Op::Delete { place: place.clone(), key: key.into(), expect: Expect::Anything }))
}

fn value(kv: &Kv, place: &Place, key: &str) -> Option<String> {
    kv.get(place, key).unwrap().map(|found| String::from_utf8(found.value).unwrap())
}

fn code(result: Result<Done, KvError>) -> Code {
    result.unwrap_err().code
}

#[test]
fn a_value_is_found_under_its_tenant_store_and_key_alone() {
    let kv = memory();
    let [a, b, c] = [place("one", "s"), place("two", "s"), place("one", "t")];
    for (place, value) in [(&a, "1"), (&b, "2"), (&c, "3")] {
        put(&kv, place, "k", value);
    }
    assert_eq!([&a, &b, &c].map(|place| value(&kv, place, "k").unwrap()), ["1", "2", "3"]);
    delete(&kv, &a, "k");
    assert_eq!([&a, &b, &c].map(|place| value(&kv, place, "k")), [None, Some("2".into()), Some("3".into())]);
    assert_eq!(kv.stores("one").unwrap().iter().map(|store| store.name.as_str()).collect::<Vec<_>>(), ["s", "t"]);
}

#[test]
fn revisions_only_rise_and_a_deleted_key_keeps_its_last() {
    let (kv, s) = (memory(), place("t", "s"));
    let first = put(&kv, &s, "k", "1");
    let second = put(&kv, &s, "k", "2");
    let gone = delete(&kv, &s, "k");
    let other = put(&kv, &s, "l", "1");
    assert!(first < second && second < gone && gone < other);
    assert_eq!(kv.revision_of(&s, "k"), Ok(gone));
    assert_eq!(kv.revision_of(&s, "never"), Ok(0));
    assert_eq!(delete(&kv, &s, "k"), gone);
    assert_eq!(kv.revision(), Ok(other));
}

#[test]
fn a_write_that_expects_another_state_changes_nothing() {
    let (kv, s) = (memory(), place("t", "s"));
    let made = revision(write(&kv, put_if(&s, "k", b"1", Expect::Absent)));
    assert_eq!(code(write(&kv, put_if(&s, "k", b"2", Expect::Absent))), Code::Conflict);
    assert_eq!(code(write(&kv, put_if(&s, "k", b"2", Expect::Revision(made + 1)))), Code::Conflict);
    assert_eq!(code(write(&kv, Op::Delete { place: s.clone(), key: "k".into(), expect: Expect::Revision(0) })), Code::Conflict);
    assert_eq!(value(&kv, &s, "k").unwrap(), "1");
    assert_eq!(revision(write(&kv, put_if(&s, "k", b"2", Expect::Revision(made)))), made + 1);
    // Gone and come again is not unchanged.
    let gone = delete(&kv, &s, "k");
    assert_eq!(code(write(&kv, put_if(&s, "k", b"3", Expect::Revision(0)))), Code::Conflict);
    write(&kv, put_if(&s, "k", b"3", Expect::Revision(gone))).unwrap();
}

#[test]
fn of_many_that_swap_the_same_revision_one_wins() {
    let (kv, s) = (Arc::new(memory()), place("t", "s"));
    let before = put(&kv, &s, "k", "0");
    let threads: Vec<_> = (0..8)
        .map(|n| {
            let (kv, s) = (kv.clone(), s.clone());
            std::thread::spawn(move || write(&kv, put_if(&s, "k", format!("{n}").as_bytes(), Expect::Revision(before))).is_ok())
        })
        .collect();
    assert_eq!(threads.into_iter().map(|thread| thread.join().unwrap()).filter(|won| *won).count(), 1);
}

#[test]
fn no_increment_is_lost() {
    let (kv, s) = (Arc::new(memory()), place("t", "s"));
    let add = |delta| Op::Increment { place: place("t", "s"), key: "n".into(), delta };
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let (kv, op) = (kv.clone(), add(Delta::Unsigned(1)));
            std::thread::spawn(move || (0..50).for_each(|_| assert!(write(&kv, op.clone()).is_ok())))
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    assert_eq!(value(&kv, &s, "n").unwrap(), "200");
    assert_eq!(write(&kv, add(Delta::Signed(-300))), Ok(Done::Signed(-100)));
    assert_eq!(code(write(&kv, add(Delta::Unsigned(1)))), Code::Invalid);
    put(&kv, &s, "n", "9223372036854775807");
    assert_eq!(code(write(&kv, add(Delta::Signed(1)))), Code::Invalid);
    put(&kv, &s, "n", "seven");
    assert_eq!(code(write(&kv, add(Delta::Signed(1)))), Code::Invalid);
    assert_eq!(value(&kv, &s, "n").unwrap(), "seven");
}

#[test]
fn keys_and_values_are_counted_and_a_quota_refuses_growth_only() {
    let (kv, s) = (memory(), place("t", "s"));
    put(&kv, &s, "key", "12345");
    put(&kv, &place("t", "other"), "k", "1");
    assert_eq!(kv.usage("t").unwrap().used, 10);
    write(&kv, Op::SetQuota { tenant: "t".into(), bytes: Some(12) }).unwrap();
    put(&kv, &s, "key", "1234567");
    assert_eq!(code(write(&kv, put_if(&s, "l", b"", Expect::Anything))), Code::Quota);
    write(&kv, Op::SetQuota { tenant: "t".into(), bytes: Some(2) }).unwrap();
    put(&kv, &s, "key", "123");
    let many = |entries: &[(&str, &str)]| Op::PutMany {
        place: s.clone(),
        entries: entries.iter().map(|(key, value)| (key.to_string(), value.as_bytes().to_vec())).collect(),
    };
    assert_eq!(code(write(&kv, many(&[("key", "1"), ("long", "12345678")]))), Code::Quota);
    assert_eq!(value(&kv, &s, "key").unwrap(), "123");
    delete(&kv, &s, "key");
    assert_eq!(kv.usage("t").unwrap().used, 2);
    write(&kv, Op::SetQuota { tenant: "t".into(), bytes: None }).unwrap();
    write(&kv, many(&[("a", "1"), ("b", "2"), ("a", "345")])).unwrap();
    assert_eq!((value(&kv, &s, "a").unwrap(), kv.usage("t").unwrap().used), ("345".into(), 8));
    write(&kv, Op::DeleteMany { place: s.clone(), keys: vec!["a".into(), "b".into(), "none".into()] }).unwrap();
    assert_eq!(kv.usage("t").unwrap().used, 2);
    // Another tenant's quota is its own.
    put(&kv, &place("u", "s"), "key", "a long value");
}

#[test]
fn listings_come_in_pages_and_leave_deleted_keys_out() {
    let (kv, s) = (memory(), place("t", "s"));
    for key in ["a", "b/1", "b/2", "b/3", "c"] {
        put(&kv, &s, key, "v");
    }
    delete(&kv, &s, "b/2");
    let names = |prefix: &str, after: Option<&str>, limit| {
        let (keys, more) = kv.list(&s, prefix, after, limit).unwrap();
        (keys.into_iter().map(|listed| listed.key).collect::<Vec<_>>().join(" "), more)
    };
    assert_eq!(names("", None, 10), ("a b/1 b/3 c".into(), false));
    assert_eq!(names("", None, 2), ("a b/1".into(), true));
    assert_eq!(names("", Some("b/1"), 2), ("b/3 c".into(), false));
    assert_eq!(names("b/", Some("a"), 10), ("b/1 b/3".into(), false));
    assert_eq!(names("b/", Some("b/3"), 10), (String::new(), false));
    assert_eq!(names("", Some("z"), 10), (String::new(), false));
    let (keys, _, more) = kv.keys(&s, None, 1, 0).unwrap();
    assert_eq!((keys, more), (vec!["b/1".into()], true));
}

#[test]
fn the_revision_under_a_prefix_moves_with_whatever_happens_there() {
    let (kv, s) = (memory(), place("t", "s"));
    let a = put(&kv, &s, "a/1", "1");
    let b = put(&kv, &s, "b/1", "1");
    assert_eq!([kv.revision_under(&s, "a/"), kv.revision_under(&s, ""), kv.revision_under(&s, "c")], [Ok(a), Ok(b), Ok(0)]);
    let gone = delete(&kv, &s, "a/1");
    assert_eq!(kv.revision_under(&s, "a/"), Ok(gone));
    assert_eq!(kv.revision_under(&place("t", "none"), ""), Ok(0));
}

#[test]
fn forgotten_deletions_make_absent_keys_newer_never_older() {
    let (kv, s) = (memory(), place("t", "s"));
    put(&kv, &s, "first", "1");
    let gone = delete(&kv, &s, "first");
    let keys: Vec<_> = (0..10_000).map(|n| n.to_string()).collect();
    write(&kv, Op::PutMany { place: s.clone(), entries: keys.iter().map(|key| (key.clone(), Vec::new())).collect() }).unwrap();
    write(&kv, Op::DeleteMany { place: s.clone(), keys }).unwrap();
    assert_eq!(kv.revision_of(&s, "first"), Ok(gone));
    assert_eq!(kv.revision_of(&s, "never"), Ok(gone));
    assert_eq!(kv.usage("t").unwrap().used, 0);
}

#[test]
fn the_log_is_kept_until_every_cursor_has_passed() {
    let (kv, s) = (memory(), place("t", "s"));
    put(&kv, &s, "before", "1");
    let register = |name: &str| revision(write(&kv, Op::RegisterCursor { name: name.into() }));
    let start = register("one");
    assert_eq!(register("two"), start);
    let a = put(&kv, &s, "a", "1");
    let b = delete(&kv, &s, "a");
    let told = |name: &str| kv.changes(name, None, 10).unwrap().iter().map(|change| (change.revision, change.kind)).collect::<Vec<_>>();
    assert_eq!(told("one"), [(a, Kind::Put), (b, Kind::Delete)]);
    assert_eq!(kv.changes("one", Some(a), 10).unwrap()[0].key, "a");
    assert_eq!(kv.changes("one", None, 1).unwrap().len(), 1);
    let advance = |name: &str, revision| write(&kv, Op::AdvanceCursor { name: name.into(), revision });
    assert_eq!(advance("one", b), Ok(Done::Revision(b)));
    assert_eq!((told("one").len(), told("two").len()), (0, 2));
    // Neither back nor ahead of what has happened.
    assert_eq!(advance("one", 0), Ok(Done::Revision(b)));
    assert_eq!(advance("two", u64::MAX), Ok(Done::Revision(b)));
    assert_eq!(told("two"), []);
    assert_eq!(code(advance("three", 1)), Code::Invalid);
    write(&kv, Op::RemoveTenant { tenant: "t".into() }).unwrap();
    assert_eq!(kv.changes("one", None, 10).unwrap()[0].kind, Kind::Remove);
}

#[test]
fn nothing_of_a_removed_tenant_is_left_but_the_revision() {
    let (kv, s) = (memory(), place("t", "s"));
    put(&kv, &s, "k", "1");
    put(&kv, &place("t2", "s"), "k", "2");
    write(&kv, Op::SetQuota { tenant: "t".into(), bytes: Some(100) }).unwrap();
    let removed = revision(write(&kv, Op::RemoveTenant { tenant: "t".into() }));
    assert_eq!((value(&kv, &s, "k"), kv.stores("t").unwrap().len()), (None, 0));
    assert_eq!((kv.usage("t").unwrap().used, kv.usage("t").unwrap().quota), (0, None));
    assert_eq!((kv.revision_of(&s, "k"), kv.revision_under(&s, "")), (Ok(removed), Ok(removed)));
    assert_eq!(value(&kv, &place("t2", "s"), "k").unwrap(), "2");
    assert!(put(&kv, &s, "k", "again") > removed);
    assert_eq!(value(&kv, &s, "k").unwrap(), "again");
}

#[test]
fn names_keys_and_values_that_do_not_fit_are_refused() {
    let (kv, s) = (memory(), place("t", "s"));
    for (tenant, store) in [("", "s"), ("t", ""), ("t\0", "s"), ("t", &"s".repeat(129))] {
        assert_eq!(Place::new(tenant, store).unwrap_err().code, Code::Invalid);
    }
    let try_put = |key: &str, value: usize| write(&kv, put_if(&s, key, &vec![0; value], Expect::Anything));
    assert_eq!(code(try_put("", 1)), Code::Invalid);
    assert_eq!(code(try_put(&"k".repeat(481), 1)), Code::Invalid);
    assert_eq!(code(try_put("k", (8 << 20) + 1)), Code::Invalid);
    try_put(&"k".repeat(480), 8 << 20).unwrap();
    assert_eq!(kv.get(&s, &"k".repeat(480)).unwrap().unwrap().value.len(), 8 << 20);
}

#[test]
fn the_file_grows_as_it_must_and_says_when_it_may_not() {
    let small = Settings { map_min: 1 << 20, map_max: 16 << 20, ..Settings::default() };
    let (kv, s) = (Kv::start(small).unwrap(), place("t", "s"));
    let mut kept = 0;
    let full = loop {
        match write(&kv, put_if(&s, &format!("{kept}"), &[7; 100_000], Expect::Anything)) {
            Ok(_) => kept += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(full.code, Code::Full);
    assert!(kept > 100, "only {kept} values went into 16 MiB");
    assert!((0..kept).all(|n| kv.get(&s, &n.to_string()).unwrap().unwrap().value.len() == 100_000));
}

#[test]
fn readers_go_on_while_the_file_grows() {
    let small = Settings { map_min: 1 << 20, ..Settings::default() };
    let (kv, s) = (Arc::new(Kv::start(small).unwrap()), place("t", "s"));
    put(&kv, &s, "k", "v");
    let done = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let readers: Vec<_> = (0..2)
        .map(|_| {
            let (kv, s, done) = (kv.clone(), s.clone(), done.clone());
            std::thread::spawn(move || {
                while !done.load(std::sync::atomic::Ordering::Relaxed) {
                    assert_eq!(value(&kv, &s, "k").unwrap(), "v");
                }
            })
        })
        .collect();
    for n in 0..200 {
        write(&kv, put_if(&s, &n.to_string(), &[1; 100_000], Expect::Anything)).unwrap();
    }
    done.store(true, std::sync::atomic::Ordering::Relaxed);
    readers.into_iter().for_each(|reader| reader.join().unwrap());
}

#[test]
fn an_engine_that_is_opened_again_finds_everything_and_no_revision_twice() {
    let folder = tempfile::tempdir().unwrap();
    for sync in [Sync::Always, Sync::Group] {
        let path = folder.path().join(format!("{sync:?}")).join("kv");
        let s = place("t", "s");
        let last = {
            let kv = on_disk(&path, sync).unwrap();
            write(&kv, Op::SetQuota { tenant: "t".into(), bytes: Some(50) }).unwrap();
            put(&kv, &s, "k", "v");
            put(&kv, &s, "gone", "v");
            let last = delete(&kv, &s, "gone");
            kv.close();
            assert_eq!(kv.get(&s, "k").unwrap_err().code, Code::Io);
            assert_eq!(code(write(&kv, put_if(&s, "k", b"", Expect::Anything))), Code::Io);
            last
        };
        let kv = on_disk(&path, sync).unwrap();
        assert_eq!((value(&kv, &s, "k").unwrap(), kv.revision_of(&s, "gone").unwrap()), ("v".into(), last));
        assert_eq!((kv.usage("t").unwrap().used, kv.usage("t").unwrap().quota), (2, Some(50)));
        assert!(put(&kv, &s, "k", "w") > last);
    }
}

/// Run by the test below in a process of its own: writes until it is killed, and says what was answered.
#[test]
fn child_that_writes_until_it_is_killed() {
    use std::io::Write;
    let Ok(path) = std::env::var("PILOTLIGHT_TEST_KV") else { return };
    let (kv, s) = (on_disk(Path::new(&path), Sync::Group).unwrap(), place("t", "s"));
    for n in 0.. {
        put(&kv, &s, &format!("{n}"), &format!("value {n}"));
        println!("\nanswered {n}");
        std::io::stdout().flush().unwrap();
    }
}

#[test]
fn what_was_answered_survives_a_killed_process() {
    use std::io::{BufRead, BufReader};
    let folder = tempfile::tempdir().unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child_that_writes_until_it_is_killed", "--nocapture"])
        .env("PILOTLIGHT_TEST_KV", folder.path())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    assert!(lines.by_ref().any(|line| line == "answered 300"));
    // While it lives, nobody else gets in.
    let error = on_disk(folder.path(), Sync::Group).err().unwrap();
    assert!(error.message.contains(&format!("in use by process {}", child.id())), "{error}");
    child.kill().unwrap();
    child.wait().unwrap();
    let last = lines.filter_map(|line| line.strip_prefix("answered ")?.parse().ok()).last().unwrap_or(300);
    let (kv, s) = (on_disk(folder.path(), Sync::Group).unwrap(), place("t", "s"));
    assert!((0..=last).all(|n| value(&kv, &s, &n.to_string()) == Some(format!("value {n}"))));
    assert!(kv.usage("t").unwrap().used > 0);
}

#[test]
fn a_file_that_is_not_ours_or_not_whole_is_named_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |name: &str, what: &str| {
        let path = folder.path().join(name);
        let before = std::fs::read(path.join("data.mdb")).unwrap();
        let error = on_disk(&path, Sync::Group).err().unwrap_or_else(|| panic!("{name} was opened"));
        assert!(error.message.contains(what) && error.message.contains(&path.display().to_string()), "{error}");
        assert_eq!(before, std::fs::read(path.join("data.mdb")).unwrap());
    };
    let make = |name: &str, bytes: &[u8]| {
        std::fs::create_dir_all(folder.path().join(name)).unwrap();
        std::fs::write(folder.path().join(name).join("data.mdb"), bytes).unwrap();
    };
    make("text", &b"not a database ".repeat(1000));
    refused("text", "was not written by Pilotlight");
    make("short", b"not");
    refused("short", "was not written by Pilotlight");
    {
        let kv = on_disk(&folder.path().join("cut"), Sync::Group).unwrap();
        for n in 0..100 {
            write(&kv, put_if(&place("t", "s"), &n.to_string(), &[1; 10_000], Expect::Anything)).unwrap();
        }
    }
    let data = folder.path().join("cut/data.mdb");
    let whole = std::fs::read(&data).unwrap();
    std::fs::write(&data, &whole[..whole.len() / 2]).unwrap();
    refused("cut", "cut short");
    // A file in place of the folder.
    std::fs::write(folder.path().join("file"), b"").unwrap();
    assert!(on_disk(&folder.path().join("file"), Sync::Group).err().unwrap().message.contains("cannot be made"));
}

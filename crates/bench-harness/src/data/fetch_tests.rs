//! Downloading against a real server on this machine that cuts, stalls, refuses and lies.

use std::fs;

use tempfile::TempDir;

use super::super::catalog::Role;
use super::super::digest::sha256_hex;
use super::super::test_server::{Reply, Server};
use super::*;

const NAME: &str = "some-images.gz";

/// Bytes without a period, so that a wrong offset cannot go unseen.
pub(crate) fn body() -> Vec<u8> {
    let mut x = 1u32;
    let mut next = || {
        x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (x >> 24) as u8
    };
    (0..200_000).map(|_| next()).collect()
}

/// Short waits, no proxy.
pub(crate) fn options() -> FetchOptions {
    FetchOptions {
        connect: Duration::from_secs(5),
        idle: Duration::from_millis(300),
        attempts: 3,
        backoff: Duration::ZERO,
        proxy: ProxyUse::Direct,
        ..FetchOptions::default()
    }
}

fn wanted(urls: Vec<String>) -> WantedFile {
    WantedFile {
        role: Role::TrainImages,
        name: NAME.into(),
        bytes: Some(body().len() as u64),
        checksum: Checksum::Sha256(sha256_hex(&body())),
        raw_checksum: None,
        urls,
    }
}

fn get(servers: &[&Server], folder: &TempDir) -> Result<Fetched, FetchError> {
    let file = wanted(servers.iter().map(|s| s.url(NAME)).collect());
    fetch_file(&file, folder.path(), &options(), &mut |_| ControlFlow::Continue(()))
}

fn assert_arrived(folder: &TempDir) {
    assert!(fs::read(folder.path().join(NAME)).unwrap() == body());
    assert!(!folder.path().join(format!("{NAME}.part")).exists());
}

fn reasons(error: FetchError) -> Vec<(u32, String)> {
    match error {
        FetchError::Mirrors { failures, .. } => failures.into_iter().map(|f| (f.attempts, f.reason)).collect(),
        other => panic!("{other}"),
    }
}

#[test]
fn a_good_server_is_asked_once_and_progress_ends_at_the_length() {
    let (server, folder) = (Server::start(vec![Reply::Good(body())]), TempDir::new().unwrap());
    let file = wanted(vec![server.url(NAME)]);
    let mut last = (0, None);
    let fetched = fetch_file(&file, folder.path(), &options(), &mut |p| {
        assert!(p.file == NAME && p.done >= last.0);
        last = (p.done, p.total);
        ControlFlow::Continue(())
    });
    assert_eq!(fetched.unwrap().received, 200_000);
    assert_eq!(last, (200_000, Some(200_000)));
    assert_arrived(&folder);
    assert_eq!(server.seen().len(), 1);
    // A second call finds the file and asks nobody.
    assert_eq!(get(&[&server], &folder).unwrap().received, 0);
    assert_eq!(server.seen().len(), 1);
}

#[test]
fn a_cut_transfer_goes_on_where_it_broke() {
    let script = vec![Reply::Cut(body(), 70_000), Reply::Cut(body(), 50_000), Reply::Good(body())];
    let (server, folder) = (Server::start(script), TempDir::new().unwrap());
    assert_eq!(get(&[&server], &folder).unwrap().received, 200_000);
    assert_arrived(&folder);
    let asked: Vec<_> = server.seen().iter().map(|s| (s.from, s.sent)).collect();
    assert_eq!(asked, [(None, 70_000), (Some(70_000), 50_000), (Some(120_000), 80_000)]);
}

#[test]
fn a_stalled_server_is_given_up_and_the_next_mirror_goes_on() {
    let stalls = Server::start(vec![Reply::Stall(body(), 60_000), Reply::Mute]);
    let (good, folder) = (Server::start(vec![Reply::Good(body())]), TempDir::new().unwrap());
    assert_eq!(get(&[&stalls, &good], &folder).unwrap().url, Some(good.url(NAME)));
    assert_arrived(&folder);
    assert_eq!((good.seen()[0].from, good.seen()[0].sent), (Some(60_000), 140_000));
}

#[test]
fn stalls_alone_are_an_error_that_says_so() {
    let folder = TempDir::new().unwrap();
    let failures = reasons(get(&[&Server::start(vec![Reply::Mute])], &folder).unwrap_err());
    assert!(failures[0].0 == 3 && failures[0].1.contains("in time"), "{failures:?}");
    let failures = reasons(get(&[&Server::start(vec![Reply::Stall(body(), 9)])], &folder).unwrap_err());
    assert!(failures[0].1.contains("stalled"), "{failures:?}");
}

#[test]
fn refusals_are_final_for_their_mirror() {
    for code in [403, 404, 410] {
        let refuses = Server::start(vec![Reply::Status(code)]);
        let (good, folder) = (Server::start(vec![Reply::Good(body())]), TempDir::new().unwrap());
        get(&[&refuses, &good], &folder).unwrap();
        assert_arrived(&folder);
        assert_eq!(refuses.seen().len(), 1, "{code}");
    }
}

#[test]
fn server_errors_are_retried() {
    let script = vec![Reply::Status(500), Reply::Status(503), Reply::Good(body())];
    let (server, folder) = (Server::start(script), TempDir::new().unwrap());
    get(&[&server], &folder).unwrap();
    assert_arrived(&folder);
    let (server, folder) = (Server::start(vec![Reply::Status(500)]), TempDir::new().unwrap());
    let failures = reasons(get(&[&server], &folder).unwrap_err());
    assert!(failures[0].0 == 3 && failures[0].1.contains("500"), "{failures:?}");
}

#[test]
fn wrong_bytes_are_deleted_and_the_next_mirror_is_asked_from_the_start() {
    let mut wrong = body();
    wrong[123_456] ^= 1;
    let liar = Server::start(vec![Reply::Good(wrong.clone())]);
    let (good, folder) = (Server::start(vec![Reply::Good(body())]), TempDir::new().unwrap());
    get(&[&liar, &good], &folder).unwrap();
    assert_arrived(&folder);
    assert_eq!((liar.seen().len(), good.seen()[0].from), (1, None));

    let folder = TempDir::new().unwrap();
    let text = get(&[&liar], &folder).unwrap_err().to_string();
    for part in [NAME, &liar.url(NAME), "wrong bytes", &sha256_hex(&body()), &sha256_hex(&wrong)] {
        assert!(text.contains(part), "{part} not in {text}");
    }
    assert!(!folder.path().join(NAME).exists());
    assert!(!folder.path().join(format!("{NAME}.part")).exists());
}

#[test]
fn a_page_in_place_of_the_file_and_an_endless_body_are_refused() {
    let page = Server::start(vec![Reply::Good(b"<html>log in first</html>".to_vec())]);
    let endless = Server::start(vec![Reply::Endless]);
    let failures = reasons(get(&[&page, &endless], &TempDir::new().unwrap()).unwrap_err());
    assert!(failures[0].1.contains("200000") && failures[0].1.contains("25"), "{failures:?}");
    assert!(failures[1].1.contains("more than the 200000"), "{failures:?}");
}

#[test]
fn a_silent_cut_is_noticed_and_resumed() {
    let script = vec![Reply::CutSilently(body(), 90_000), Reply::Good(body())];
    let (server, folder) = (Server::start(script), TempDir::new().unwrap());
    get(&[&server], &folder).unwrap();
    assert_arrived(&folder);
    assert_eq!(server.seen()[1].from, Some(90_000));
}

#[test]
fn a_server_that_ignores_or_mistakes_the_range_starts_again() {
    for second in [Reply::IgnoreRange(body()), Reply::WrongRange(body()), Reply::Status(416)] {
        let script = vec![Reply::Cut(body(), 70_000), second.clone(), Reply::Good(body())];
        let (server, folder) = (Server::start(script), TempDir::new().unwrap());
        get(&[&server], &folder).unwrap();
        assert_arrived(&folder);
        let asked: Vec<_> = server.seen().iter().map(|s| s.from).collect();
        let expected: &[Option<usize>] = match second {
            Reply::IgnoreRange(_) => &[None, Some(70_000)],
            _ => &[None, Some(70_000), None],
        };
        assert_eq!(asked, expected, "{second:?}");
    }
}

#[test]
fn a_part_from_an_earlier_run_is_used_or_given_up_for_a_new_start() {
    let server = Server::start(vec![Reply::Good(body())]);
    let folder = TempDir::new().unwrap();
    let part = folder.path().join(format!("{NAME}.part"));
    fs::write(&part, &body()[..150_000]).unwrap();
    assert_eq!(get(&[&server], &folder).unwrap().received, 50_000);
    assert_arrived(&folder);

    // A part of other bytes: resumed, found wrong, then fetched whole from the same mirror.
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join(format!("{NAME}.part")), [0; 1000]).unwrap();
    get(&[&server], &folder).unwrap();
    assert_arrived(&folder);
    let asked: Vec<_> = server.seen().iter().map(|s| s.from).collect();
    assert_eq!(asked, [Some(150_000), Some(1000), None]);

    // A complete part needs no server, an overlong one is of no use.
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join(format!("{NAME}.part")), body()).unwrap();
    get(&[], &folder).unwrap();
    assert_arrived(&folder);
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join(format!("{NAME}.part")), [0; 200_001]).unwrap();
    get(&[&server], &folder).unwrap();
    assert_arrived(&folder);
}

#[test]
fn a_file_of_unpublished_length_is_checked_by_md5_and_resumed() {
    let script = vec![Reply::Cut(body(), 70_000), Reply::Good(body())];
    let (server, folder) = (Server::start(script), TempDir::new().unwrap());
    let mut file = wanted(vec![server.url(NAME)]);
    file.checksum = Checksum::Md5(String::new()).of_same_kind(&body());
    file.bytes = None;
    fetch_file(&file, folder.path(), &options(), &mut |_| ControlFlow::Continue(())).unwrap();
    assert_arrived(&folder);
    assert_eq!(server.seen()[1].from, Some(70_000));
}

#[test]
fn redirects_are_followed_with_the_range() {
    let good = Server::start(vec![Reply::Good(body())]);
    let gate = Server::start(vec![Reply::Redirect(good.url("elsewhere"))]);
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join(format!("{NAME}.part")), &body()[..10]).unwrap();
    get(&[&gate], &folder).unwrap();
    assert_arrived(&folder);
    assert_eq!((good.seen()[0].path.as_str(), good.seen()[0].from), ("/elsewhere", Some(10)));
}

#[test]
fn when_all_mirrors_fail_each_is_listed_with_its_reason() {
    let refuses = Server::start(vec![Reply::Status(403)]);
    let breaks = Server::start(vec![Reply::Status(502)]);
    let folder = TempDir::new().unwrap();
    // A port that nobody listens on: bound, then freed.
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let urls = vec![refuses.url(NAME), breaks.url(NAME), format!("http://{closed}/{NAME}"), "no address".to_owned()];
    let result = fetch_file(&wanted(urls.clone()), folder.path(), &options(), &mut |_| ControlFlow::Continue(()));
    let text = result.unwrap_err().to_string();
    for part in urls.iter().map(String::as_str).chain(["403", "502"]) {
        assert!(text.contains(part), "{part} not in {text}");
    }
}

#[test]
fn stopping_keeps_the_part_for_the_next_time() {
    let script = vec![Reply::Stall(body(), 120_000), Reply::Good(body())];
    let (server, folder) = (Server::start(script), TempDir::new().unwrap());
    let file = wanted(vec![server.url(NAME)]);
    let result = fetch_file(&file, folder.path(), &options(), &mut |p| {
        if p.done < 120_000 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
    let error = result.unwrap_err();
    assert!(matches!(error, FetchError::Cancelled { kept: 120_000, .. }), "{error}");
    assert_eq!(get(&[&server], &folder).unwrap().received, 80_000);
    assert_arrived(&folder);
}

#[test]
fn a_strangers_file_is_never_overwritten() {
    let (server, folder) = (Server::start(vec![Reply::Good(body())]), TempDir::new().unwrap());
    fs::write(folder.path().join(NAME), b"mine").unwrap();
    let error = get(&[&server], &folder).unwrap_err();
    assert!(matches!(error, FetchError::Occupied { .. }), "{error}");
    assert_eq!(fs::read(folder.path().join(NAME)).unwrap(), b"mine");
    assert!(server.seen().is_empty());
}

#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("a file");
    fs::write(&file, b"").unwrap();
    let below = file.join("mnist");
    let result = fetch_file(&wanted(vec![]), &below, &options(), &mut |_| ControlFlow::Continue(()));
    let text = result.unwrap_err().to_string();
    assert!(text.contains(&below.display().to_string()), "{text}");
}

#[test]
fn two_at_once_fetch_the_file_once() {
    let (server, folder) = (Server::start(vec![Reply::Good(body())]), TempDir::new().unwrap());
    thread::scope(|scope| {
        let tasks: Vec<_> = (0..4).map(|_| scope.spawn(|| get(&[&server], &folder).unwrap())).collect();
        let received: u64 = tasks.into_iter().map(|t| t.join().unwrap().received).sum();
        assert_eq!(received, 200_000);
    });
    assert_arrived(&folder);
    assert_eq!(server.seen().len(), 1);
}

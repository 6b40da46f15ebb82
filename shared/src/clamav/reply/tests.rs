use proptest::prelude::*;

use super::*;

fn infected(name: &str) -> Result<Verdict, ScanError> {
    Ok(Verdict::Infected { signature: name.to_owned() })
}

fn limits(name: &str) -> Result<Verdict, ScanError> {
    Ok(Verdict::LimitsExceeded { reason: name.to_owned() })
}

fn encrypted(name: &str) -> Result<Verdict, ScanError> {
    Ok(Verdict::Encrypted { reason: name.to_owned() })
}

fn scanner(text: &str) -> Result<Verdict, ScanError> {
    Err(ScanError::Scanner(text.to_owned()))
}

#[test]
fn known_replies() {
    let long = "n".repeat(256);
    for (reply, expected) in [
        ("stream: OK\0", Ok(Verdict::Clean)),
        ("stream: Eicar-Test.UNOFFICIAL FOUND\0", infected("Eicar-Test.UNOFFICIAL")),
        ("stream: Eicar(44d88612fea8a8f3:68) FOUND\0", infected("Eicar(44d88612fea8a8f3:68)")),
        ("stream: OK FOUND\0", infected("OK")),
        ("stream: Two words FOUND\0", infected("Two words")),
        (&format!("stream: {long} FOUND\0"), infected(&long)),
        ("stream: Heuristics.Phishing.Email FOUND\0", infected("Heuristics.Phishing.Email")),
        ("stream: Heuristics.Limits.Exceeded FOUND\0", limits("Heuristics.Limits.Exceeded")),
        ("stream: Heuristics.Limits.Exceeded.MaxFiles FOUND\0", limits("Heuristics.Limits.Exceeded.MaxFiles")),
        ("stream: Heuristics.Encrypted.Zip FOUND\0", encrypted("Heuristics.Encrypted.Zip")),
        ("INSTREAM size limit exceeded. ERROR\0", limits("INSTREAM size limit exceeded")),
        ("COMMAND READ TIMED OUT\n", scanner("COMMAND READ TIMED OUT")),
        ("UNKNOWN COMMAND\0", scanner("UNKNOWN COMMAND")),
        ("stream: Can't allocate memory ERROR\0", scanner("stream: Can't allocate memory")),
        ("INSTREAM: Can't write to temporary file. ERROR\0", scanner("INSTREAM: Can't write to temporary file")),
    ] {
        assert_eq!(verdict(reply.as_bytes()), expected, "{reply:?}");
    }
}

#[test]
fn everything_else_is_garbled() {
    let long_name = format!("stream: {} FOUND\0", "n".repeat(257));
    let long_error = format!("{} ERROR\0", "n".repeat(257));
    for reply in [
        "",
        "\0",
        "OK\0",
        "stream: OK",
        "stream: OK\n",
        "stream: OK\0\0",
        "stream: OK\0stream: OK\0",
        " stream: OK\0",
        "stream: ok\0",
        "stream:OK\0",
        "stream: OK \0",
        "1: stream: OK\0",
        "fd[10]: OK\0",
        "stream: \0",
        "PONG\0",
        "stream: OK\0stream: Eicar FOUND\0",
        "stream: Eicar FOUND\0stream: OK\0",
        "stream: OK\nstream: OK\0",
        "stream: Eicar FOUND",
        "stream: Eicar FOUND\n",
        "stream:  FOUND\0",
        "stream: FOUND\0",
        "stream: Eicar found\0",
        "stream: Ei\ncar FOUND\0",
        "stream: Ei\u{e9}car FOUND\0",
        "stream: Ei\x1b[2Jcar FOUND\0",
        "stream:  Eicar FOUND\0",
        "Eicar FOUND\0",
        " ERROR\0",
        "a\nb ERROR\0",
        "COMMAND READ TIMED OUT",
        "UNKNOWN COMMAND",
        "UNKNOWN COMMAND\n",
        "INSTREAM size limit exceeded. ERROR",
        "HTTP/1.1 400 Bad Request\r\n\r\n",
        &long_name,
        &long_error,
    ] {
        assert_eq!(verdict(reply.as_bytes()), Err(ScanError::Garbled), "{reply:?}");
        assert_eq!(refusal(reply.as_bytes()), Err(ScanError::Garbled), "{reply:?}");
    }
    assert_eq!(verdict(b"stream: \xff\xfe FOUND\0"), Err(ScanError::Garbled));
}

#[test]
fn a_stream_cut_short_has_no_verdict() {
    for reply in ["stream: OK\0", "stream: Eicar FOUND\0", "stream: Heuristics.Encrypted.Zip FOUND\0"] {
        assert_eq!(refusal(reply.as_bytes()), Err(ScanError::Garbled), "{reply:?}");
    }
    assert_eq!(refusal(b"INSTREAM size limit exceeded. ERROR\0"), limits("INSTREAM size limit exceeded"));
    assert_eq!(refusal(b"COMMAND READ TIMED OUT\n"), scanner("COMMAND READ TIMED OUT"));
}

#[test]
fn versions() {
    let known = |engine: &str, database: Option<&str>| {
        let built = database.map(|_| "2025-01-06T09:42:49Z".parse().unwrap());
        Ok(EngineVersion { engine: engine.to_owned(), database: database.map(str::to_owned), built })
    };
    for (reply, expected) in [
        ("ClamAV 1.4.3/27500/Mon Jan  6 09:42:49 2025\0", known("ClamAV 1.4.3", Some("27500"))),
        ("ClamAV 1.4.6\0", known("ClamAV 1.4.6", None)),
        ("ClamAV 1.4.6", Err(ScanError::Garbled)),
        ("ClamAV \0", Err(ScanError::Garbled)),
        ("ClamAV 1.4.6/27500\0", Err(ScanError::Garbled)),
        ("ClamAV 1.4.6//Mon\0", Err(ScanError::Garbled)),
        ("ClamAV 1.4.6/new/Mon\0", Err(ScanError::Garbled)),
        ("ClamAV 1.4.6\nX\0", Err(ScanError::Garbled)),
        ("Other 1\0", Err(ScanError::Garbled)),
        ("\0", Err(ScanError::Garbled)),
        ("", Err(ScanError::Garbled)),
    ] {
        assert_eq!(version(reply.as_bytes()), expected, "{reply:?}");
    }
}

const OK: &[u8] = b"stream: OK\0";

/// Bytes near the one clean reply: pieces of it and of others, in any order.
fn near() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just(OK.to_vec()),
        prop::sample::select(vec!["stream: ", "OK", "\0", " FOUND", " ERROR", "\n", " ", "1: ", "x"])
            .prop_map(|piece| piece.as_bytes().to_vec()),
    ];
    prop::collection::vec(piece, 0..5).prop_map(|pieces| pieces.concat())
}

/// The clean reply with one byte changed, lost or added.
fn edited() -> impl Strategy<Value = Vec<u8>> {
    (0..=OK.len(), any::<u8>(), 0..3_u8).prop_map(|(at, byte, edit)| {
        let mut reply = OK.to_vec();
        match edit {
            0 => reply.insert(at, byte),
            1 if at < reply.len() => drop(reply.remove(at)),
            _ if at < reply.len() => reply[at] = byte,
            _ => {}
        }
        reply
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn only_the_exact_reply_is_clean(
        reply in prop_oneof![prop::collection::vec(any::<u8>(), 0..60), near(), edited()],
    ) {
        prop_assert_eq!(verdict(&reply) == Ok(Verdict::Clean), reply == OK);
        prop_assert_ne!(refusal(&reply), Ok(Verdict::Clean));
        // What a verdict carries is fit for a record.
        if let Ok(Verdict::Infected { signature }) = verdict(&reply) {
            prop_assert!(signature.bytes().all(|b| (b' '..=b'~').contains(&b)) && (1..=256).contains(&signature.len()));
        }
    }
}

#[test]
fn the_number_of_threads_is_read_where_it_is_said() {
    let said =
        b"POOLS: 1\n\nSTATE: VALID PRIMARY\nTHREADS: live 1  idle 0 max 12 idle-timeout 30\nQUEUE: 0 items\n\tSTATS \
        0.000004 \n\nMEMSTATS: heap N/A\nEND\0";
    for (reply, threads) in [
        (&said[..], Some(12)),
        (b"THREADS: live 1  idle 0 max\n", None),
        (b"THREADS: live 1  idle 0 max x\n", None),
        (b"UNKNOWN COMMAND\0", None),
        (b"\xff", None),
        (b"", None),
    ] {
        assert_eq!(max_threads(reply), threads, "{reply:?}");
    }
}

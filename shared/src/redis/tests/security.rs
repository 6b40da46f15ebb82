//! Passwords, TLS, and a Redis that is part of a cluster.

use std::fs;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tempfile::TempDir;

use super::*;
use crate::testing::redis::free_port;

#[tokio::test]
async fn a_password_is_needed_and_given() {
    let server = TestRedis::start_with(&["--requirepass", "right-word"]).await.unwrap();
    let at = |login: &str| server.url().replace("//", &format!("//{login}@"));
    for redis in both(&settings(&at(":right-word"))) {
        assert_eq!(redis.check().await, Ok(()));
        answers(&redis).await;
    }
    for redis in both(&settings(&at(":wrong-word"))) {
        let error = redis.ask::<String>(&echo("word")).await.unwrap_err();
        assert!(matches!(error, CallError::Login(_)), "{error:?}");
        assert!(!error.to_string().contains("wrong-word"), "{error}");
        assert_eq!(redis.check().await, Err(error));
    }
    for redis in both(&settings(&server.url())) {
        let refused = Err(CallError::Login("NOAUTH".into()));
        assert_eq!(redis.ask::<String>(&echo("word")).await, refused);
        assert_eq!(redis.check().await, refused.map(drop));
    }
}

/// A certificate for 127.0.0.1 by an authority of its own, and that authority's certificate.
fn certificates(dir: &TempDir) -> String {
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec!["127.0.0.1".into()]).unwrap().signed_by(&key, &authority).unwrap();
    fs::write(dir.path().join("certificate.pem"), certificate.pem()).unwrap();
    fs::write(dir.path().join("key.pem"), key.serialize_pem()).unwrap();
    authority.pem()
}

#[tokio::test]
async fn tls_is_verified() {
    let dir = tempfile::tempdir().unwrap();
    let authority = certificates(&dir);
    let (port, file) = (free_port().unwrap().to_string(), |name: &str| dir.path().join(name).display().to_string());
    let (certificate, key) = (file("certificate.pem"), file("key.pem"));
    let tls =
        ["--tls-port", &port, "--tls-cert-file", &certificate, "--tls-key-file", &key, "--tls-auth-clients", "no"];
    let _server = TestRedis::start_with(&tls).await.unwrap();
    let url = format!("rediss://127.0.0.1:{port}");
    let trusting = |pem: Option<&str>| {
        let address = Address::parse(&url, pem.map(str::as_bytes)).unwrap();
        both(&Settings { connect_timeout: PATIENT, address, ..settings(&url) })
    };
    for redis in trusting(Some(&authority)) {
        answers(&redis).await;
    }
    let stranger = certificates(&tempfile::tempdir().unwrap());
    for redis in trusting(Some(&stranger)).into_iter().chain(trusting(None)) {
        let error = redis.ask::<String>(&echo("word")).await.unwrap_err();
        assert!(error.to_string().contains("certificate"), "{error}");
    }
}

#[tokio::test]
async fn a_node_of_a_cluster_is_refused() {
    let server = TestRedis::start_with(&["--cluster-enabled", "yes"]).await.unwrap();
    for redis in both(&settings(&server.url())) {
        let mut get = cmd("GET");
        get.arg("key");
        assert_eq!(redis.ask::<String>(&Call::Command(get)).await, Err(CallError::Cluster));
        assert_eq!(redis.check().await, Err(CallError::Cluster));
    }
}

#[tokio::test]
async fn one_that_does_not_answer_may_be_the_right_one() {
    let mut server = TestRedis::start().await.unwrap();
    server.kill().unwrap();
    for redis in both(&settings(&server.url())) {
        assert_eq!(redis.check().await, Ok(()));
    }
}

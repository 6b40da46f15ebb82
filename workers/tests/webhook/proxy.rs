//! Proxy variables of the environment are not obeyed.
//!
//! The test runs itself once more as a child process that has them set.

use std::process::Command;

use mailtri::webhook::Delivery;

use crate::support::{Answer, Receiver, client, send, status};

const NAME: &str = "proxy::proxy_variables_are_ignored";
const VARIABLES: [&str; 6] = ["http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"];
const CHILD: &str = "MAILTRI_TEST_PROXY";

#[tokio::test]
async fn proxy_variables_are_ignored() {
    match std::env::var(CHILD) {
        Ok(proxy) => in_the_child(&proxy).await,
        Err(_) => in_the_parent().await,
    }
}

async fn in_the_parent() {
    let proxy =
        Receiver::start(Answer::Bytes("HTTP/1.1 418 Proxy\r\ncontent-length: 0\r\n\r\n".to_owned()), None).await;
    let url = format!("http://{}", proxy.address);
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args([NAME, "--exact", "--nocapture"]).env(CHILD, &url).env_remove("NO_PROXY").env_remove("no_proxy");
    child.env_remove("REQUEST_METHOD").envs(VARIABLES.map(|name| (name, &url)));
    let output = tokio::task::spawn_blocking(move || child.output()).await.unwrap().unwrap();
    let shown = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && shown.contains("1 passed"),
        "{shown}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(proxy.connections(), 1, "only the client that obeys the variables came by");
}

async fn in_the_child(proxy: &str) {
    assert_eq!(std::env::var("http_proxy").as_deref(), Ok(proxy));
    let receiver = Receiver::start(status("200 OK"), None).await;
    let destination = receiver.destination("http", "127.0.0.1");
    // The variables do work: an ordinary client goes to the proxy.
    let ordinary = reqwest::Client::new().post(destination.url.clone()).body("{}").send().await.unwrap();
    assert_eq!((ordinary.status().as_u16(), receiver.connections()), (418, 0));
    assert_eq!(send(&client(&destination)).await, Delivery::Delivered { status: 200 });
    assert_eq!(receiver.connections(), 1);
}

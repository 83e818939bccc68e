//! Redirects: who is trusted with credentials, and what cannot be followed.

use std::sync::atomic::AtomicUsize;

use super::*;
use crate::failure::{Code, Disposition, Failure};

/// A frontend that lists `nodes`, and redirects every load to `location`.
async fn listing(nodes: &'static str, location: String) -> Node {
    Node::start(move |mut peer| {
        let location = location.clone();
        async move {
            let head = peer.head().await;
            if head.starts_with("PUT ") {
                peer.redirect(&location).await;
            } else if head.starts_with("GET /api/show_proc?path=/backends ") {
                peer.answer("200 OK", nodes).await;
            } else {
                peer.answer("403 Forbidden", "{}").await;
            }
            peer.rest().await;
        }
    })
    .await
}

#[tokio::test]
async fn a_host_that_nobody_vouches_for_gets_neither_credentials_nor_a_connection() {
    let stranger = Node::answering("200 OK", success(2, 8)).await;
    // `localhost` is the same machine as the frontend's 127.0.0.1, and another name.
    let location = format!("http://localhost:{}/api/db/t/_stream_load", stranger.port);
    let frontend = listing(r#"[{"IP":"10.1.1.1","HttpPort":"8040"}]"#, location).await;
    let error = load(&target(&[frontend.port])).await.unwrap_err();
    assert_eq!((error.code(), error.disposition()), (Code::RedirectRefused, Disposition::Abort));
    assert!(error.hint().unwrap().contains(&format!("--allow-redirect localhost:{}", stranger.port)), "{error}");
    assert!(stranger.heads().is_empty(), "nothing reaches a stranger");
}

#[tokio::test]
async fn a_node_that_the_cluster_lists_is_trusted_and_asked_for_once() {
    let backend = taking(format!("HTTP/1.1 200 OK\r\n\r\n{}", success(2, 8))).await;
    let location = format!("http://localhost:{}/api/db/t/_stream_load", backend.port);
    let nodes = format!(r#"[{{"BackendId":"1","IP":"localhost","HttpPort":"{}"}}]"#, backend.port);
    let frontend = listing(nodes.leak(), location).await;
    let target = target(&[frontend.port]);
    load(&target).await.unwrap();
    load(&target).await.unwrap();
    assert!(backend.heads()[0].to_ascii_lowercase().contains("authorization: basic "));
    let questions = frontend.heads().iter().filter(|head| head.contains("/backends")).count();
    assert_eq!(questions, 1, "the list is kept");
}

#[tokio::test]
async fn a_host_allowed_or_mapped_by_name_is_trusted() {
    let backend = taking(format!("HTTP/1.1 200 OK\r\n\r\n{}", success(2, 8))).await;
    let frontend = listing("[]", format!("http://localhost:{}/x", backend.port)).await;
    let mut allowing = options(&[frontend.port]);
    allowing.allow_redirect = vec!["localhost".to_owned()];
    load(&StarRocks::new(allowing).unwrap()).await.unwrap();

    let frontend = listing("[]", "http://be1.inside:8040/x".to_owned()).await;
    let mut mapping = options(&[frontend.port]);
    mapping.map_host = vec![format!("be1.inside=127.0.0.1:{}", backend.port).parse().unwrap()];
    load(&StarRocks::new(mapping).unwrap()).await.unwrap();
}

#[tokio::test]
async fn redirects_in_a_circle_end_with_a_clear_word() {
    let frontend = Node::start(|mut peer| async move {
        let head = peer.head().await;
        let host = head.lines().find_map(|line| line.strip_prefix("host: ")).unwrap_or_default().to_owned();
        peer.redirect(&format!("http://{host}/api/db/t/_stream_load")).await;
        assert!(peer.rest().await.is_empty());
    })
    .await;
    let error = load(&target(&[frontend.port])).await.unwrap_err();
    assert_eq!(error.code(), Code::RedirectRefused);
    assert!(error.to_string().contains("point at each other"), "{error}");
    assert_eq!(frontend.finish().await.len(), 4, "three redirects are followed");
}

#[tokio::test]
async fn a_frontend_that_names_a_dead_node_is_asked_again() {
    let backend = Node::start(|mut peer| async move {
        peer.head().await;
        peer.write("HTTP/1.1 100 Continue\r\n\r\n").await;
        peer.body(8).await;
        peer.answer("200 OK", &success(2, 8)).await;
    })
    .await;
    let (dead, alive) = (closed_port().await, backend.port);
    let asked = Arc::new(AtomicUsize::new(0));
    let frontend = Node::start({
        let asked = Arc::clone(&asked);
        move |mut peer| {
            let port = if asked.fetch_add(1, Ordering::SeqCst) < 2 { dead } else { alive };
            async move {
                peer.head().await;
                peer.redirect(&format!("http://127.0.0.1:{port}/x")).await;
            }
        }
    })
    .await;
    load(&target(&[frontend.port])).await.unwrap();
    assert_eq!(asked.load(Ordering::SeqCst), 3, "one attempt, three questions");
}

#[tokio::test]
async fn a_redirect_to_nowhere_names_its_location_and_the_flag() {
    let dead = closed_port().await;
    let frontend = Node::redirecting(format!("http://127.0.0.1:{dead}/x")).await;
    let error = load(&target(&[frontend.port])).await.unwrap_err();
    assert_eq!((error.code(), error.disposition()), (Code::TargetUnreachable, Disposition::Retry { after: None }));
    assert!(error.to_string().contains(&format!("127.0.0.1:{dead} via 127.0.0.1:{}", frontend.port)), "{error}");
    assert!(error.hint().unwrap().contains("--map-host"));

    let frontend = listing(r#"[{"IP":"be.invalid","HttpPort":8040}]"#, "http://be.invalid:8040/x".to_owned()).await;
    let error = load(&target(&[frontend.port])).await.unwrap_err();
    assert_eq!(error.code(), Code::RedirectRefused);
    assert!(error.to_string().contains("http://be.invalid:8040"), "{error}");
    assert!(error.hint().unwrap().contains("--map-host be.invalid:8040="), "{error}");

    let frontend = Node::start(|mut peer| async move {
        peer.head().await;
        peer.write("HTTP/1.1 307 Temporary Redirect\r\nContent-Length: 0\r\n\r\n").await;
        peer.rest().await;
    })
    .await;
    assert_eq!(load(&target(&[frontend.port])).await.unwrap_err().code(), Code::RedirectRefused);
}

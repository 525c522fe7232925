//! Argo CD's API server over a loopback socket: routing, checks in the observed order, the
//! error texts, the event stream.

use super::scenario::{Odd, Scenario};
use super::webhook;
use super::world::ArgoCd;
use hydrant::edge::argocd::clock::Clock as _;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// The path prefix the server lives under.
pub const PREFIX: &str = "/argo";

pub struct Fake {
    pub argocd: ArgoCd,
    odd: Vec<Odd>,
    good_token: String,
}

struct Request {
    method: String,
    path: Vec<String>,
    query: BTreeMap<String, String>,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

enum Answer {
    Json(u16, Value, BTreeMap<String, String>),
    Text(u16, String, BTreeMap<String, String>),
    Stream(String),
    Drop,
    Hang,
}

fn fault(status: u16, code: i64, text: impl Into<String>) -> Answer {
    let text = text.into();
    Answer::Json(status, json!({"error": text, "code": code, "message": text}), BTreeMap::new())
}

fn ok(value: Value) -> Answer {
    Answer::Json(200, value, BTreeMap::new())
}

/// Starts the server; returns its base URL.
pub async fn start(argocd: ArgoCd, scenario: &Scenario, good_token: &str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let fake = Arc::new(Fake { argocd, odd: scenario.answers.clone(), good_token: good_token.to_owned() });
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let _ = socket.set_nodelay(true);
            tokio::spawn(serve(fake.clone(), socket));
        }
    });
    format!("http://{address}{PREFIX}")
}

async fn serve(fake: Arc<Fake>, mut socket: TcpStream) {
    let mut buffer = Vec::new();
    while let Some(request) = read(&mut socket, &mut buffer).await {
        fake.argocd.clock.touch();
        // A client that hangs up ends whatever it waited for.
        let answer = {
            let mut probe = [0u8; 1];
            tokio::select! {
                answer = fake.later(&request) => answer,
                n = socket.peek(&mut probe) => match n { Ok(0) | Err(_) => return, Ok(_) => return },
            }
        };
        fake.argocd.clock.touch();
        match answer {
            Answer::Json(status, body, headers) => {
                write(&mut socket, status, "application/json", &headers, body.to_string().as_bytes()).await
            }
            Answer::Text(status, body, headers) => {
                write(&mut socket, status, "text/plain; charset=utf-8", &headers, body.as_bytes()).await
            }
            Answer::Stream(name) => return fake.stream(socket, &name).await,
            Answer::Drop => return,
            Answer::Hang => {
                let mut probe = [0u8; 1];
                fake.argocd.clock.hold(socket.read(&mut probe)).await.ok();
                return;
            }
        }
    }
}

async fn read(socket: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<Request> {
    let head_end = loop {
        if let Some(at) = buffer.windows(4).position(|w| w == b"\r\n\r\n") {
            break at;
        }
        let mut chunk = [0u8; 8192];
        match socket.read(&mut chunk).await {
            Ok(0) | Err(_) => return None,
            Ok(n) => buffer.extend_from_slice(&chunk[..n]),
        }
    };
    let head = String::from_utf8_lossy(&buffer[..head_end]).into_owned();
    let mut lines = head.split("\r\n");
    let mut first = lines.next()?.split(' ');
    let (method, target) = (first.next()?.to_owned(), first.next()?.to_owned());
    let headers: BTreeMap<String, String> =
        lines.filter_map(|l| l.split_once(": ").map(|(k, v)| (k.to_lowercase(), v.to_owned()))).collect();
    let length: usize = headers.get("content-length").and_then(|l| l.parse().ok()).unwrap_or(0);
    while buffer.len() < head_end + 4 + length {
        let mut chunk = [0u8; 8192];
        match socket.read(&mut chunk).await {
            Ok(0) | Err(_) => return None,
            Ok(n) => buffer.extend_from_slice(&chunk[..n]),
        }
    }
    let body = buffer[head_end + 4..head_end + 4 + length].to_vec();
    buffer.drain(..head_end + 4 + length);
    let url = url::Url::parse(&format!("http://x{target}")).ok()?;
    let path = url.path_segments()?.map(str::to_owned).collect();
    Some(Request { method, path, query: url.query_pairs().into_owned().collect(), headers, body })
}

async fn write(
    socket: &mut TcpStream,
    status: u16,
    kind: &str,
    headers: &BTreeMap<String, String>,
    body: &[u8],
) {
    let mut head =
        format!("HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n", body.len());
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    let _ = socket.write_all(&[head.as_bytes(), body].concat()).await;
}

impl Fake {
    async fn later(&self, request: &Request) -> Answer {
        let millis = self.argocd.lock().server.answer_millis;
        if millis > 0 {
            self.argocd.clock.hold(self.argocd.clock.sleep(Duration::from_millis(millis))).await;
        }
        self.answer(request).await
    }

    async fn answer(&self, request: &Request) -> Answer {
        self.argocd.look_at_git();
        if request.method != "GET"
            && request.headers.get("content-type").map(|c| c.trim().to_lowercase()).as_deref()
                != Some("application/json")
        {
            return Answer::Text(415, "Invalid content type\n".into(), BTreeMap::new());
        }
        let path: Vec<&str> = request.path.iter().map(String::as_str).collect();
        let Some(("argo", rest)) = path.split_first().map(|(f, r)| (*f, r)) else {
            return Answer::Text(404, "404 page not found\n".into(), BTreeMap::new());
        };
        let (kind, app) = match (request.method.as_str(), rest) {
            ("GET", ["api", "v1", "session", "userinfo"]) => ("userinfo", ""),
            ("GET", ["api", "v1", "account", "can-i", "applications", ..]) => ("can-i", ""),
            ("GET", ["api", "v1", "applications"]) => ("list", ""),
            ("GET", ["api", "v1", "stream", "applications"]) => {
                ("stream", request.query.get("name").map_or("", |n| n))
            }
            ("GET", ["api", "v1", "applications", name]) if request.query.contains_key("refresh") => {
                ("refresh", *name)
            }
            ("GET", ["api", "v1", "applications", name]) => ("get", *name),
            ("GET", ["api", "v1", "applications", name, "syncwindows"]) => ("windows", *name),
            ("POST", ["api", "v1", "applications", name, "sync"]) => ("sync", *name),
            ("DELETE", ["api", "v1", "applications", name, "operation"]) => ("terminate", *name),
            ("POST", ["api", "webhook"]) => ("webhook", ""),
            _ => return Answer::Text(404, "Not Found\n".into(), BTreeMap::new()),
        };
        *self.argocd.lock().calls.entry(kind).or_default() += 1;
        if kind == "sync"
            && let Some(state) = self.argocd.lock().apps.get_mut(app)
        {
            state.posts.push(serde_json::from_slice(&request.body).unwrap_or(Value::Null));
            state.asked_at.push(self.argocd.clock.millis());
        }
        if let Some(odd) = self.odd(kind, app) {
            if odd.accept {
                let _ = self.route(kind, app, request, rest).await;
            }
            if odd.accept_after > 0.0 && kind == "sync" {
                let (this, app, body) = (self.argocd.clone(), app.to_owned(), request.body.clone());
                tokio::spawn(async move {
                    this.clock.sleep(Duration::from_secs_f64(odd.accept_after)).await;
                    let free = this.object(&app).is_some_and(|o| o.get("operation").is_none());
                    if free {
                        this.begin(&app, operation(&serde_json::from_slice(&body).unwrap(), "hydrant"));
                    }
                });
            }
            return odd_answer(&odd);
        }
        self.route(kind, app, request, rest).await
    }

    /// Returns the next answer that is not the usual one.
    fn odd(&self, kind: &str, app: &str) -> Option<Odd> {
        let now = self.argocd.clock.now().as_secs_f64();
        let mut world = self.argocd.lock();
        for (place, odd) in self.odd.iter().enumerate() {
            if odd.on != kind || !odd.app.is_empty() && odd.app != app {
                continue;
            }
            if odd.until > 0.0 {
                if now >= odd.from && now < odd.until {
                    return Some(odd.clone());
                }
                continue;
            }
            let seen = world.seen.entry(place).or_insert(0);
            *seen += 1;
            if *seen > odd.skip && *seen <= odd.skip + odd.times.max(1) {
                return Some(odd.clone());
            }
        }
        None
    }

    fn token_is_bad(&self, request: &Request) -> Option<Answer> {
        let given = request.headers.get("authorization").and_then(|h| h.strip_prefix("Bearer "));
        match given {
            Some(token) if token == self.good_token => None,
            Some(_) => {
                let text = self.argocd.lock().server.token_refused.clone();
                Some(fault(401, 16, format!("invalid session: {text}")))
            }
            None => Some(fault(401, 16, "no session information")),
        }
    }

    async fn route(&self, kind: &str, app: &str, request: &Request, path: &[&str]) -> Answer {
        let argocd = &self.argocd;
        match kind {
            "userinfo" if self.token_is_bad(request).is_some() => return ok(json!({})),
            "userinfo" => return ok(json!({"loggedIn": true, "username": "hydrant", "iss": "argocd"})),
            "webhook" => return self.webhook(request),
            _ => {}
        }
        if let Some(bad) = self.token_is_bad(request) {
            return bad;
        }
        if kind == "can-i" {
            let denied = argocd.lock().server.denied.clone();
            let yes = !denied.iter().any(|d| d == path[5]);
            return ok(json!({"value": if yes { "yes" } else { "no" }}));
        }
        if kind == "list" {
            let names: Vec<Value> = argocd
                .lock()
                .apps
                .values()
                .filter(|a| a.exists)
                .map(|a| json!({"metadata": {"name": a.given.name}}))
                .collect();
            return ok(
                json!({"metadata": {}, "items": if names.is_empty() { Value::Null } else { names.into() }}),
            );
        }
        if kind == "stream" {
            return match argocd.object(app) {
                Some(_) if !argocd.lock().server.mute_streams => Answer::Stream(app.to_owned()),
                _ => Answer::Hang,
            };
        }
        let body: Value = if request.body.is_empty() {
            Value::Null
        } else {
            match serde_json::from_slice(&request.body) {
                Ok(body) => body,
                Err(_) => return fault(400, 3, "unexpected EOF"),
            }
        };
        let project =
            request.query.get("project").cloned().or_else(|| body["project"].as_str().map(str::to_owned));
        if let Some(refused) = self.may_read(app, project.as_deref()) {
            return refused;
        }
        match kind {
            "get" => ok(argocd.object(app).unwrap()),
            "refresh" => {
                argocd.clock.hold(argocd.refresh(app)).await;
                ok(argocd.object(app).unwrap())
            }
            "windows" => ok(self.windows()),
            "terminate" if argocd.terminate(app) => ok(json!({})),
            "terminate" => fault(400, 3, "Unable to terminate operation. No operation is in progress"),
            _ => self.sync(app, &body),
        }
    }

    fn may_read(&self, app: &str, project: Option<&str>) -> Option<Answer> {
        let bare = || Some(fault(403, 7, "permission denied"));
        let world = self.argocd.lock();
        if world.server.denied.iter().any(|d| d == "get") || project.is_none() {
            return bare();
        }
        if world.server.unknown_project {
            let name = project.unwrap_or_default();
            return Some(fault(
                400,
                3,
                format!("app is not allowed in project \"{name}\", or the project does not exist"),
            ));
        }
        drop(world);
        if self.argocd.kubernetes_down() {
            return bare();
        }
        let world = self.argocd.lock();
        let found = world.apps.get(app).filter(|a| a.exists);
        let real = found.map(|a| match (a.given.real_project.as_str(), a.given.project.as_str()) {
            ("", "") => "default",
            ("", p) => p,
            (r, _) => r,
        });
        (real != project).then(|| fault(404, 5, format!("applications.argoproj.io \"{app}\" not found")))
    }

    fn windows(&self) -> Value {
        let world = self.argocd.lock();
        if world.server.windows.is_empty() {
            return json!({"canSync": true});
        }
        let window = json!({"kind": "deny", "schedule": "0 6 * * *", "duration": "1h", "manualSync": world.server.windows_allow_manual});
        let manual = world.server.windows_allow_manual;
        drop(world);
        let closed = self.argocd.window_closed();
        let active = if closed { json!([window]) } else { Value::Null };
        json!({"activeWindows": active, "assignedWindows": [window], "canSync": !closed || manual})
    }

    /// The checks of Argo CD's `Sync`, in its order.
    fn sync(&self, name: &str, body: &Value) -> Answer {
        let argocd = &self.argocd;
        let manual_allowed = argocd.lock().server.windows_allow_manual;
        if argocd.window_closed() && !manual_allowed {
            return fault(403, 7, "cannot sync: blocked by sync window");
        }
        let (denied, require_override, replace_refused) = {
            let world = argocd.lock();
            (world.server.denied.clone(), world.server.require_override, world.server.replace_refused)
        };
        let denial = |action: &str| {
            fault(
                403,
                7,
                format!(
                    "permission denied: applications, {action}, default/{name}, sub: hydrant, iat: 2026-11-21T05:00:00Z"
                ),
            )
        };
        if denied.iter().any(|d| d == "sync") {
            return denial("sync");
        }
        let object = argocd.object(name).unwrap();
        if object.pointer("/metadata/deletionTimestamp").is_some() {
            return fault(400, 9, "application is deleting");
        }
        let revision = body["revision"].as_str().unwrap_or_default();
        let positions = body["sourcePositions"].as_array();
        let automated =
            object.pointer("/spec/syncPolicy/automated").is_some_and(|a| a["enabled"] != json!(false));
        let pinned = (!revision.is_empty() && revision != "main") || positions.is_some();
        if automated && pinned && body["dryRun"] != json!(true) {
            let what = if positions.is_some() { "source https://git.example/fleet.git to new" } else { "to" };
            return fault(400, 9, format!("Cannot sync {what} {revision}: auto-sync currently set to main"));
        }
        if require_override && pinned {
            return denial("override");
        }
        let replace = body
            .pointer("/syncOptions/items")
            .and_then(Value::as_array)
            .is_some_and(|i| i.contains(&json!("Replace=true")));
        if replace_refused && replace {
            return fault(
                400,
                9,
                "sync with replace was disabled on the API Server level via the server configuration",
            );
        }
        if object.get("operation").is_some() {
            return fault(400, 9, "another operation is already in progress");
        }
        argocd.begin(name, operation(body, "hydrant"));
        let mut reply = object;
        reply["operation"] = operation(body, "hydrant");
        reply["status"].as_object_mut().unwrap().remove("operationState");
        ok(reply)
    }

    /// As Argo CD does: the form by its header, the proof, then repository and branch.
    fn webhook(&self, request: &Request) -> Answer {
        let refuse = |text: &str| Answer::Text(400, format!("{text}\n"), BTreeMap::new());
        assert!(!request.headers.contains_key("authorization"), "the webhook needs no token");
        let (works, secret) = {
            let world = self.argocd.lock();
            (world.server.webhook, world.server.webhook_secret.clone())
        };
        let push = webhook::read(&request.headers, &request.body, &secret);
        let push = match push {
            Ok(push) if works => push,
            Ok(_) => return refuse("Unknown webhook event"),
            Err(why) => return refuse(&why),
        };
        let names: Vec<String> = {
            let mut world = self.argocd.lock();
            world.webhooks += 1;
            let meant = |app: &&super::world::AppState| {
                let text = |key: &str| {
                    app.spec.pointer(&format!("/source/{key}")).and_then(Value::as_str).unwrap_or_default()
                };
                push.is_of(text("repoURL"), text("targetRevision"))
            };
            world.apps.values().filter(meant).map(|a| a.given.name.clone()).collect()
        };
        for name in names {
            let this = self.argocd.clone();
            tokio::spawn(async move { this.refresh(&name).await });
        }
        Answer::Text(200, String::new(), BTreeMap::new())
    }

    async fn stream(&self, mut socket: TcpStream, name: &str) {
        let mut events = self.argocd.subscribe();
        let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
        if socket.write_all(head.as_bytes()).await.is_err() || !self.event(&mut socket, "ADDED", name).await {
            return;
        }
        let mut beat = Box::pin(self.argocd.clock.sleep(Duration::from_secs(15)));
        loop {
            let mut probe = [0u8; 1];
            tokio::select! {
                event = events.recv() => match event {
                    Ok(changed) if changed == name => {
                        if !self.event(&mut socket, "MODIFIED", name).await {
                            return;
                        }
                    }
                    Ok(_) => {}
                    Err(_) => return,
                },
                () = &mut beat => {
                    beat = Box::pin(self.argocd.clock.sleep(Duration::from_secs(15)));
                    if chunk(&mut socket, ":\n").await.is_err() {
                        return;
                    }
                }
                _ = socket.read(&mut probe) => return,
            }
        }
    }

    async fn event(&self, socket: &mut TcpStream, kind: &str, name: &str) -> bool {
        let Some(mut object) = self.argocd.object(name) else { return false };
        self.argocd.clock.touch();
        let mischief = self.argocd.lock().server.stream_mischief;
        if mischief > 0 {
            let dice =
                blake3::hash(format!("{mischief}/{}", self.argocd.clock.millis()).as_bytes()).as_bytes()[0];
            let past = self.argocd.lock().apps[name].past.clone();
            match dice % 4 {
                // Kept back, an older state, or the stream breaks; else as it is.
                0 => return true,
                1 if !past.is_empty() => object = past[usize::from(dice) % past.len()].clone(),
                2 if dice > 200 => return false,
                _ => {}
            }
        }
        let line = format!("data: {} \n\n", json!({"result": {"type": kind, "application": object}}));
        chunk(socket, &line).await.is_ok() && chunk(socket, "\n").await.is_ok()
    }
}

async fn chunk(socket: &mut TcpStream, text: &str) -> std::io::Result<()> {
    socket.write_all(format!("{:x}\r\n{text}\r\n", text.len()).as_bytes()).await
}

fn operation(body: &Value, by: &str) -> Value {
    let mut sync = json!({});
    for key in ["revision", "revisions", "dryRun", "prune", "resources", "syncOptions"] {
        if let Some(value) = body.get(key).filter(|v| !v.is_null() && **v != json!(false)) {
            sync[key] = value.clone();
        }
    }
    json!({"sync": sync, "initiatedBy": {"username": by}, "info": body["infos"], "retry": {}})
}

fn odd_answer(odd: &Odd) -> Answer {
    if odd.hang {
        return Answer::Hang;
    }
    if odd.drop {
        return Answer::Drop;
    }
    let headers = odd.headers.clone();
    if !odd.raw.is_empty() {
        return Answer::Text(odd.status, odd.raw.clone(), headers);
    }
    Answer::Json(odd.status, json!({"error": odd.text, "code": odd.code, "message": odd.text}), headers)
}

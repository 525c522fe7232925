//! A real `sshd` on loopback, with keys of its own and one bare repository.

use super::git::{bare, git};
use crate::common::program;
use hydrant::edge::git::{GitSettings, KeySource, SshSettings};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// An sshd that serves the user of the test; it ends with this value.
pub struct Sshd {
    pub temp: TempDir,
    /// A bare repository whose path holds spaces and quotes.
    pub repo: PathBuf,
    pub address: SocketAddr,
    pub user: String,
    child: Child,
}

impl Sshd {
    /// Starts one; `None` (with a reason on stderr) where there is no OpenSSH.
    pub fn start() -> Option<Self> {
        let sshd = sshd_program()?;
        program("ssh-keygen")?;
        let temp = tempfile::tempdir().expect("a folder");
        let repo = temp.path().join("it's a \"repo\"!.git");
        bare(&repo);
        for name in ["host", "client"] {
            keygen(&temp.path().join(name), "");
        }
        let user = String::from_utf8(Command::new("id").arg("-un").output().expect("id starts").stdout)
            .expect("a name")
            .trim()
            .to_owned();
        let address = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
        let at = |name: &str| temp.path().join(name).display().to_string();
        let config = format!(
            "ListenAddress {address}\nHostKey {}\nAuthorizedKeysFile {}\nStrictModes no\nUsePAM no\n\
             PidFile none\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nUseDNS no\n\
             PermitRootLogin yes\nLogLevel VERBOSE\nMaxStartups 100\nSetEnv GIT_CONFIG_NOSYSTEM=1\n",
            at("host"),
            at("authorized_keys"),
        );
        std::fs::write(temp.path().join("config"), config).expect("a file");
        let log = std::fs::File::create(temp.path().join("log")).expect("a file");
        let child = Command::new(sshd)
            .args(["-D", "-e", "-f", &at("config")])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("sshd starts");
        let server = Self { temp, repo, address, user, child };
        server.allow("");
        server.wait();
        Some(server)
    }

    fn wait(&self) {
        let until = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect(self.address).is_err() {
            assert!(Instant::now() < until, "sshd does not listen:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Returns what sshd logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.temp.path().join("log")).unwrap_or_default()
    }

    /// Returns a file in the server's folder.
    pub fn file(&self, name: &str) -> PathBuf {
        self.temp.path().join(name)
    }

    /// Lets the key `client` in, with options such as `command="…"`, and nobody else.
    pub fn allow(&self, options: &str) {
        let key = std::fs::read_to_string(self.file("client.pub")).expect("a key");
        std::fs::write(self.file("authorized_keys"), format!("{options} {key}").trim_start())
            .expect("a file");
    }

    /// Writes a known_hosts file that lists the server's key for an address.
    pub fn known_hosts(&self, address: SocketAddr) -> PathBuf {
        let key = std::fs::read_to_string(self.file("host.pub")).expect("a key");
        let file = self.file(&format!("known_hosts-{}", address.port()));
        std::fs::write(&file, format!("[{}]:{} {key}", address.ip(), address.port())).expect("a file");
        file
    }

    /// Returns the repository's address on a port: the server's own, or a proxy's.
    pub fn url_at(&self, address: SocketAddr) -> String {
        let path = self.repo.display().to_string();
        let path: String = path
            .chars()
            .map(|c| if c == ' ' || c == '"' { format!("%{:02x}", u32::from(c)) } else { c.to_string() })
            .collect();
        format!("ssh://{}@{address}{path}", self.user)
    }

    pub fn url(&self) -> String {
        self.url_at(self.address)
    }

    /// Returns settings that log in with the key `client`, hasty enough for tests.
    pub fn settings(&self, cache: &Path) -> GitSettings {
        GitSettings {
            cache: Some(cache.into()),
            silence: Duration::from_secs(8),
            call_deadline: Duration::from_secs(20),
            ssh: SshSettings {
                key: Some(KeySource::File(self.file("client"))),
                known_hosts: vec![self.known_hosts(self.address)],
                ..SshSettings::default()
            },
            ..GitSettings::default()
        }
    }

    /// Installs a hook.
    pub fn hook(&self, name: &str, script: &str) {
        script_file(&self.repo.join("hooks").join(name), script);
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Writes an executable script.
pub fn script_file(path: &Path, script: &str) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
    std::fs::write(path, script).expect("a script");
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).expect("executable");
}

/// sshd wants to be called by its full path, and lies outside of most users' PATH.
fn sshd_program() -> Option<PathBuf> {
    let usual = PathBuf::from("/usr/sbin/sshd");
    let found = if usual.is_file() { Some(usual) } else { program("sshd") };
    // As root it separates its privileges in this folder, which a service would have made.
    if found.is_some() {
        let _ = std::fs::create_dir_all("/run/sshd");
    }
    found
}

/// Makes an Ed25519 key pair.
pub fn keygen(file: &Path, passphrase: &str) {
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-C", "test", "-N", passphrase, "-f"])
        .arg(file)
        .stdin(Stdio::null())
        .status()
        .expect("ssh-keygen starts");
    assert!(made.success());
}

/// An `ssh-agent` with some keys; it ends with this value.
pub struct SshAgent {
    pub socket: PathBuf,
    child: Child,
    _temp: TempDir,
}

impl SshAgent {
    /// Starts one with keys.
    pub fn with(keys: &[&Path]) -> Option<Self> {
        let agent = program("ssh-agent")?;
        let temp = tempfile::tempdir().expect("a folder");
        let socket = temp.path().join("agent");
        let child = Command::new(agent)
            .arg("-D")
            .arg("-a")
            .arg(&socket)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("ssh-agent starts");
        let agent = Self { socket, child, _temp: temp };
        let until = Instant::now() + Duration::from_secs(20);
        while !agent.socket.exists() {
            assert!(Instant::now() < until, "ssh-agent makes no socket");
            std::thread::sleep(Duration::from_millis(10));
        }
        for key in keys {
            let added = Command::new("ssh-add")
                .arg("-q")
                .arg(key)
                .env("SSH_AUTH_SOCK", &agent.socket)
                .stdin(Stdio::null())
                .stderr(Stdio::null())
                .status()
                .expect("ssh-add starts");
            assert!(added.success());
        }
        Some(agent)
    }
}

impl Drop for SshAgent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Returns the fingerprint that OpenSSH gives a public key.
pub fn fingerprint(file: &Path) -> String {
    let out = Command::new("ssh-keygen").arg("-lf").arg(file).output().expect("ssh-keygen starts");
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    text.split(' ').nth(1).expect("a fingerprint").to_owned()
}

/// Returns how many commits a branch has.
pub fn commits(repo: &Path) -> usize {
    git(repo, &["rev-list", "--count", "main"]).parse().expect("a number")
}

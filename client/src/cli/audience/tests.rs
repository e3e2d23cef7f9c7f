use clap::Parser;
use client::KeyringFile;
use protocol::audience::Invitation;

use super::*;

/// The command as the process would have it.
#[derive(Parser)]
struct Line {
    #[command(flatten)]
    audience: AudienceArgs,
}

/// A keyring and the commands on it.
struct Device {
    directory: tempfile::TempDir,
}

impl Device {
    fn new() -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
        }
    }

    fn file(&self) -> KeyringFile {
        KeyringFile::new(self.directory.path().join("keyring"))
    }

    fn run(&self, arguments: &[&str]) -> Result<(), String> {
        let file = self.file();
        let keyring = ["audience", "--keyring", file.path().to_str().unwrap()];
        let line = Line::try_parse_from(keyring.iter().chain(arguments))
            .map_err(|error| error.to_string())?;
        run(&line.audience).map(drop).map_err(|failure| {
            let (Failure::Usage(error) | Failure::Evidence(error) | Failure::Run(error)) = failure;
            format!("{error:#}")
        })
    }

    fn keyring(&self) -> Keyring {
        self.file().read().unwrap()
    }

    fn secret(&self, label: &str) -> [u8; 32] {
        let keyring = self.keyring();
        let label = AudienceLabel::new(label).unwrap();
        *keyring.find(&label).unwrap().secret.as_bytes()
    }

    fn invitation(&self, label: &str) -> Invitation {
        let keyring = self.keyring();
        let label = AudienceLabel::new(label).unwrap();
        keyring.find(&label).unwrap().invitation()
    }
}

#[test]
fn an_invitation_makes_a_member() {
    let (inviter, friend) = (Device::new(), Device::new());
    inviter
        .run(&["new", "Friends of A", "--for", "A@Example.org"])
        .unwrap();
    let uri = inviter.invitation("Friends of A").to_uri();
    let path = friend.directory.path().join("invitation");
    std::fs::write(&path, format!("{}\n", *uri)).unwrap();
    friend
        .run(&["join", "--file", path.to_str().unwrap()])
        .unwrap();
    assert_eq!(
        friend.secret("Friends of A"),
        inviter.secret("Friends of A")
    );
    assert_eq!(
        membership::listing(&friend.keyring()),
        "\"Friends of A\" for mailto:a@example.org\n"
    );

    // The label is taken, unless another one is given.
    let taken = friend.run(&["join", &uri]).unwrap_err();
    assert!(taken.contains("choose another"), "{taken}");
    friend.run(&["join", &uri, "--label", "A"]).unwrap();
    assert_eq!(friend.secret("A"), inviter.secret("Friends of A"));
    friend.run(&["leave", "Friends of A"]).unwrap();
    assert_eq!(
        membership::listing(&friend.keyring()),
        "\"A\" for mailto:a@example.org\n"
    );
    assert!(friend.run(&["leave", "Friends of A"]).is_err());
    assert!(friend.run(&["invite", "Friends of A"]).is_err());
    friend.run(&["invite", "A", "--qr"]).unwrap();
}

#[test]
fn audiences_have_secrets_of_their_own() {
    let device = Device::new();
    device.run(&["new", "a"]).unwrap();
    device.run(&["new", "b"]).unwrap();
    assert_ne!(device.secret("a"), device.secret("b"));
    assert!(device.run(&["new", "a"]).is_err());
    assert_eq!(
        membership::listing(&device.keyring()),
        "\"a\" for anyone\n\"b\" for anyone\n"
    );
}

#[test]
fn two_who_pair_share_a_secret() {
    let (recipient, sender) = (Device::new(), Device::new());
    let key = |device: &Device| pairing::public_key(&device.file()).unwrap().to_text();
    let (of_recipient, of_sender) = (key(&recipient), key(&sender));
    let pair = |device: &Device, with: &str, role: &str, label: &str| {
        let rest = ["--as", role, label, "--for", "+442079460000"];
        device.run(&[&["pair", "--with", with][..], &rest].concat())
    };
    pair(&recipient, &of_sender, "recipient", "for S").unwrap();
    pair(&sender, &of_recipient, "sender", "from R").unwrap();
    assert_eq!(recipient.secret("for S"), sender.secret("from R"));
    pair(&sender, &of_recipient, "recipient", "for R").unwrap();
    assert_ne!(sender.secret("for R"), sender.secret("from R"));
    assert_eq!(key(&sender), of_sender);
    sender.run(&["key"]).unwrap();

    let zero = format!("x25519:{}", "A".repeat(43));
    let refused = pair(&sender, &zero, "sender", "nobody").unwrap_err();
    assert!(refused.contains("small order"), "{refused}");
    assert!(pair(&sender, "x25519:AAAA", "sender", "nobody").is_err());
}

#[test]
fn what_is_no_invitation_is_refused_and_not_shown() {
    let device = Device::new();
    let error = device
        .run(&["join", "sotto:audience?v=1&secret=c2VjcmV0"])
        .unwrap_err();
    assert!(!error.contains("c2VjcmV0"), "{error}");
    let path = device.directory.path().join("long");
    std::fs::write(&path, "a".repeat(10_000)).unwrap();
    assert!(
        device
            .run(&["join", "--file", path.to_str().unwrap()])
            .is_err()
    );
    assert!(device.run(&["join"]).is_err());
    assert!(!device.file().path().exists());
    assert!(device.run(&["list"]).is_err());
}

#[test]
fn qr_codes_are_squares_with_a_border() {
    let device = Device::new();
    device.run(&["new", "family"]).unwrap();
    let code = invitation::qr_code(&device.invitation("family").to_uri());
    let code = code.ok().unwrap();
    let lines: Vec<&str> = code.lines().collect();
    let width = lines[0].chars().count();
    assert!(lines.iter().all(|line| line.chars().count() == width));
    assert_eq!(lines.len(), width.div_ceil(2));
    // The quiet zone of four modules is lit.
    assert!(lines[..2].concat().chars().all(|module| module == '█'));
}

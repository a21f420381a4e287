//! Certificates of clients: asked for, checked, called back, and told to the servers behind us.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod kit;

use kit::{Authority, End, Files, client_with, compile, connect, params, server};
use rcgen::{DnType, KeyPair, PKCS_ECDSA_P256_SHA256, SanType};
use rustls::CertificateError;
use serde_json::{Value, json};
use trunkline_tls::plan::{ForwardedPart, Protocol};
use trunkline_tls::{ClientTls, Error, ServerTls, forwarded_client_certificate};

struct Site {
    authority: Authority,
    entry: Value,
}

impl Site {
    fn new() -> Self {
        let authority = Authority::new();
        let entry = authority.p256("site", &["site.example"]).entry();
        Self { authority, entry }
    }

    fn plan(&self, mut auth: Value) -> Value {
        auth["ca"] = json!(self.authority.ca);
        json!({"certificates": [self.entry], "client_auth": auth})
    }

    fn server(&self, auth: Value) -> ServerTls {
        server(self.plan(auth))
    }

    fn client(&self, files: Option<&Files>) -> ClientTls {
        let mut plan = json!({"ca": self.authority.ca});
        if let Some(files) = files {
            plan["certificate"] = json!(files.certificate);
            plan["key"] = json!(files.key);
        }
        client_with(plan, Protocol::Http11)
    }
}

fn refused(client: &ClientTls, server: &ServerTls) -> Error {
    match connect(client, server, "site.example") {
        Err(End::Server(error)) => error,
        Err(End::Client(error)) => panic!("the client ended it: {error}"),
        Ok(_) => panic!("let in"),
    }
}

#[test]
fn a_required_certificate_lets_in_and_its_absence_does_not() {
    let site = Site::new();
    let alice = site.authority.p256("alice", &["alice.example"]);
    let server = site.server(json!({}));
    let pair = connect(&site.client(Some(&alice)), &server, "site.example").unwrap();
    assert_eq!(pair.server.session.peer_certificates().unwrap()[0], *alice.made.der());
    assert!(server.forwarded_client_certificate(&pair.server.session).unwrap().starts_with("Hash="));
    assert_eq!(refused(&site.client(None), &server), Error::ClientCertificateRequired);
}

#[test]
fn an_optional_certificate_may_be_missing_but_not_wrong() {
    let (site, stranger) = (Site::new(), Site::new());
    let server = site.server(json!({"mode": "optional"}));
    let pair = connect(&site.client(None), &server, "site.example").unwrap();
    assert_eq!(pair.server.session.peer_certificates(), None);
    assert_eq!(server.forwarded_client_certificate(&pair.server.session), None);
    let alice = site.authority.p256("alice", &["alice.example"]);
    assert!(connect(&site.client(Some(&alice)), &server, "site.example").is_ok());
    let mallory = stranger.authority.p256("mallory", &["alice.example"]);
    let error = refused(&site.client(Some(&mallory)), &server);
    assert!(matches!(error, Error::BadClientCertificate(CertificateError::UnknownIssuer)), "{error:?}");
    assert_eq!(error.reason(), "tls_bad_client_certificate");
}

#[test]
fn a_certificate_that_was_called_back_is_refused() {
    let site = Site::new();
    let (good, bad) = (site.authority.numbered("good", 7), site.authority.numbered("bad", 8));
    let list = site.authority.revoke("list.crl", &[8, 9], 2090);
    let server = site.server(json!({"crl": [list]}));
    assert!(connect(&site.client(Some(&good)), &server, "site.example").is_ok());
    let error = refused(&site.client(Some(&bad)), &server);
    assert!(matches!(error, Error::BadClientCertificate(CertificateError::Revoked)), "{error:?}");
}

#[test]
fn a_list_of_another_issuer_says_nothing_of_ours() {
    let (site, other) = (Site::new(), Site::new());
    let alice = site.authority.p256("alice", &["alice.example"]);
    let list = other.authority.revoke("list.crl", &[1], 2090);
    let error = refused(&site.client(Some(&alice)), &site.server(json!({"crl": [list]})));
    assert!(
        matches!(error, Error::BadClientCertificate(CertificateError::UnknownRevocationStatus)),
        "{error:?}"
    );
}

#[test]
fn a_new_list_makes_old_tickets_useless() {
    let site = Site::new();
    let alice = site.authority.numbered("alice", 7);
    let client = site.client(Some(&alice));
    let before = site.server(json!({}));
    assert!(connect(&client, &before, "site.example").is_ok());
    assert!(connect(&client, &before, "site.example").unwrap().server.session.is_resumed());
    let list = site.authority.revoke("list.crl", &[7], 2090);
    let after = compile(site.plan(json!({"crl": [list]})), Some(&before)).unwrap();
    let error = refused(&client, &after);
    assert!(matches!(error, Error::BadClientCertificate(CertificateError::Revoked)), "{error:?}");
}

#[test]
fn a_resumed_session_still_says_who_the_client_is() {
    let site = Site::new();
    let alice = site.authority.p256("alice", &["alice.example"]);
    let (client, server) = (site.client(Some(&alice)), site.server(json!({})));
    let first = connect(&client, &server, "site.example").unwrap();
    let second = connect(&client, &server, "site.example").unwrap();
    assert!(second.server.session.is_resumed());
    let told = |pair: &kit::Pair| server.forwarded_client_certificate(&pair.server.session).unwrap();
    assert_eq!(told(&first), told(&second));
}

fn named(site: &Site, subject: &[(DnType, &str)], uris: &[&str]) -> Files {
    let mut params = params(&["a.example", "b.example"]);
    params.distinguished_name = rcgen::DistinguishedName::new();
    for (kind, value) in subject {
        params.distinguished_name.push(kind.clone(), *value);
    }
    params.subject_alt_names.extend(uris.iter().map(|uri| SanType::URI((*uri).try_into().unwrap())));
    site.authority.make("named", &params, &KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap())
}

const ALL: [ForwardedPart; 5] = [
    ForwardedPart::Hash,
    ForwardedPart::Cert,
    ForwardedPart::Subject,
    ForwardedPart::Uri,
    ForwardedPart::Dns,
];

#[test]
fn the_header_is_what_envoy_writes() {
    let site = Site::new();
    let files = named(
        &site,
        &[(DnType::OrganizationName, "Acme, Inc"), (DnType::CommonName, "shop")],
        &["spiffe://acme/shop"],
    );
    let value = forwarded_client_certificate(files.made.der(), &ALL[2..]);
    assert_eq!(value, r#"Subject="CN=shop,O=Acme\, Inc";URI=spiffe://acme/shop;DNS=a.example;DNS=b.example"#);
    let hash = forwarded_client_certificate(files.made.der(), &ALL[..1]);
    assert!(hash.len() == 69 && hash[5..].bytes().all(|byte| byte.is_ascii_hexdigit()), "{hash}");
    let certificate = forwarded_client_certificate(files.made.der(), &ALL[1..2]);
    let decoded = certificate
        .replace("%0A", "\n")
        .replace("%20", " ")
        .replace("%2B", "+")
        .replace("%2F", "/")
        .replace("%3D", "=");
    let pem = std::fs::read_to_string(&files.certificate).unwrap().replace("\r\n", "\n");
    assert_eq!(decoded, format!("Cert=\"{pem}\""));
}

#[test]
fn no_name_can_leave_its_place_in_the_header() {
    let site = Site::new();
    let files =
        named(&site, &[(DnType::CommonName, "a\";Hash=0;\r\nX: ü")], &["urn:a,b;DNS=evil", "urn:\"\\"]);
    let value = forwarded_client_certificate(files.made.der(), &ALL[2..]);
    assert_eq!(
        value,
        r#"Subject="CN=a\"\;Hash=0\;\0d\0aX: \C3\BC";URI="urn:a,b;DNS=evil";URI="urn:\"\\";DNS=a.example;DNS=b.example"#
    );
}

#[test]
fn what_is_no_certificate_is_told_by_its_hash() {
    assert_eq!(
        forwarded_client_certificate(b"abc", &ALL[..1]),
        "Hash=ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    );
    assert_eq!(forwarded_client_certificate(b"abc", &ALL[2..]), "");
}

//! What a listener's plan becomes: which certificate for which name, protocols, versions, and what is wrong with a plan.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod kit;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use kit::{Authority, End, Files, Folder, NOW_UNIX, compile, foreign_client, meet, params, server};
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, date_time_ymd};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::version::{TLS12, TLS13};
use rustls::{AlertDescription, ClientConfig, DigitallySignedStruct, SignatureScheme};
use serde_json::{Value, json};
use trunkline_tls::{Challenges, Error, PemPair, ServerTls, plan};

const BOTH: [&rustls::SupportedProtocolVersion; 2] = [&TLS12, &TLS13];

/// Believes everybody; remembers what it was shown.
#[derive(Debug)]
struct Observer {
    schemes: Vec<SignatureScheme>,
    shown: Mutex<Option<(Vec<u8>, Vec<u8>)>>,
}

impl ServerCertVerifier for Observer {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        ocsp: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        *self.shown.lock().unwrap() = Some((certificate.to_vec(), ocsp.to_vec()));
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.schemes.clone()
    }
}

const ECDSA: [SignatureScheme; 2] =
    [SignatureScheme::ECDSA_NISTP256_SHA256, SignatureScheme::ECDSA_NISTP384_SHA384];
const RSA: [SignatureScheme; 2] = [SignatureScheme::RSA_PSS_SHA256, SignatureScheme::RSA_PKCS1_SHA256];

/// The certificate and OCSP response that a client with these signature schemes is shown.
fn shown(
    authority: &Authority,
    server: &ServerTls,
    name: &str,
    schemes: &[SignatureScheme],
) -> Result<(Vec<u8>, Vec<u8>), End> {
    let mut config = foreign_client(authority, &BOTH, &[]);
    // Names that are addresses are not sent: that is how a client asks for none.
    config.enable_sni = name != "203.0.113.9";
    let observer = Arc::new(Observer { schemes: schemes.to_vec(), shown: Mutex::new(None) });
    config.dangerous().set_certificate_verifier(observer.clone());
    meet(&Arc::new(config), server, name).1?;
    Ok(observer.shown.lock().unwrap().take().unwrap())
}

fn leaf(authority: &Authority, server: &ServerTls, name: &str) -> Result<Vec<u8>, End> {
    Ok(shown(authority, server, name, &[&ECDSA[..], &RSA[..]].concat())?.0)
}

fn der(files: &Files) -> Vec<u8> {
    files.made.der().to_vec()
}

#[test]
fn the_name_chooses_the_certificate() {
    let authority = Authority::new();
    let first = authority.p256("first", &["first.example"]);
    let wild = authority.p256("wild", &["*.shop.example", "Shop.Example"]);
    let exact = authority.p256("exact", &["www.shop.example", "203.0.113.9"]);
    let server = server(json!({"certificates": [first.entry(), wild.entry(), exact.entry()]}));
    for (name, wanted) in [
        ("first.example", &first),
        ("FIRST.example", &first),
        ("shop.example", &wild),
        ("api.shop.example", &wild),
        ("www.shop.example", &exact),
        // One label: RFC 9525 §6.3.
        ("a.b.shop.example", &first),
        ("unknown.example", &first),
        ("203.0.113.9", &first),
    ] {
        assert_eq!(leaf(&authority, &server, name).unwrap(), der(wanted), "{name}");
    }
    let names: Vec<_> = server.certificates().iter().map(|info| info.names.join(" ")).collect();
    assert_eq!(names, ["first.example", "*.shop.example shop.example", "www.shop.example 203.0.113.9"]);
}

#[test]
fn a_strict_listener_refuses_other_names_and_none() {
    let authority = Authority::new();
    let files = authority.p256("site", &["site.example"]);
    let server = server(json!({"certificates": [files.entry()], "strict_sni": true}));
    assert_eq!(leaf(&authority, &server, "site.example").unwrap(), der(&files));
    for version in BOTH {
        let config = Arc::new(foreign_client(&authority, &[version], &[]));
        let (mut pair, result) = meet(&config, &server, "other.example");
        assert_eq!(result, Err(End::Server(Error::NoCertificateForName)));
        assert_eq!(pair.server.session.server_name(), Some("other.example"));
        // The alert was written before the error was returned.
        let mut refused = kit::Side::new(server.session().unwrap());
        let (mut hello, mut alert) = (Vec::new(), Vec::new());
        pair = kit::Pair::new(kit::foreign_session(&config, "other.example"), server.session().unwrap());
        pair.client.process(&mut hello).unwrap();
        refused.incoming = hello;
        refused.process(&mut alert).unwrap_err();
        pair.client.incoming = alert;
        let told = pair.client.process(&mut Vec::new()).unwrap_err();
        assert_eq!(told, Error::PeerAlert(AlertDescription::UnrecognisedName));
    }
    let nameless = leaf(&authority, &server, "203.0.113.9");
    assert_eq!(nameless, Err(End::Server(Error::NoCertificateForName)));
    assert_eq!(Error::NoCertificateForName.reason(), "tls_no_certificate_for_name");
}

#[test]
fn a_refusal_is_not_told_to_the_next_session_of_the_thread() {
    let authority = Authority::new();
    let entry = authority.p256("site", &["site.example"]).entry();
    let strict = server(json!({"certificates": [entry], "strict_sni": true}));
    let config = Arc::new(foreign_client(&authority, &BOTH, &["gopher"]));
    assert_eq!(meet(&config, &strict, "x.example").1, Err(End::Server(Error::NoCertificateForName)));
    let (pair, result) = meet(&config, &strict, "site.example");
    assert_eq!(result, Err(End::Server(Error::UnknownAlpn)));
    assert_eq!(pair.server.session.server_name(), Some("site.example"));
}

#[test]
fn each_client_gets_a_key_type_that_it_can_verify() {
    let authority = Authority::new();
    let rsa = authority.rsa("rsa", &["site.example"]);
    let ecdsa = authority.p256("ecdsa", &["site.example"]);
    let server = server(json!({"certificates": [rsa.entry(), ecdsa.entry()]}));
    for name in ["site.example", "other.example"] {
        assert_eq!(shown(&authority, &server, name, &RSA).unwrap().0, der(&rsa));
        assert_eq!(shown(&authority, &server, name, &ECDSA).unwrap().0, der(&ecdsa));
    }
    let neither = shown(&authority, &server, "site.example", &[SignatureScheme::ED25519]);
    assert!(matches!(neither, Err(End::Server(Error::NothingInCommon(_)))), "{neither:?}");
}

#[test]
fn the_listeners_order_chooses_the_protocol() {
    let authority = Authority::new();
    let entry = authority.p256("site", &["site.example"]).entry();
    let both = server(json!({"certificates": [entry]}));
    let old = server(json!({"certificates": [entry], "alpn": ["http/1.1"]}));
    let agreed = |server: &ServerTls, offered: &[&str]| {
        let (pair, result) =
            meet(&Arc::new(foreign_client(&authority, &BOTH, offered)), server, "site.example");
        result.map(|()| pair.server.session.alpn().map(|name| String::from_utf8(name.to_vec()).unwrap()))
    };
    assert_eq!(agreed(&both, &["http/1.1", "h2"]), Ok(Some("h2".into())));
    assert_eq!(agreed(&both, &["http/1.1"]), Ok(Some("http/1.1".into())));
    assert_eq!(agreed(&both, &[]), Ok(None));
    assert_eq!(agreed(&old, &["h2", "http/1.1"]), Ok(Some("http/1.1".into())));
    assert_eq!(agreed(&old, &["h2"]), Err(End::Server(Error::UnknownAlpn)));
}

#[test]
fn versions_below_the_least_are_refused() {
    let authority = Authority::new();
    let entry = authority.p256("site", &["site.example"]).entry();
    let server = server(json!({"certificates": [entry], "min_version": "1.3"}));
    let old = Arc::new(foreign_client(&authority, &[&TLS12], &[]));
    let refused = meet(&old, &server, "site.example").1.unwrap_err();
    assert!(
        matches!(&refused, End::Server(error @ Error::Version(_)) if error.reason() == "tls_version"),
        "{refused:?}"
    );
}

#[test]
fn the_cipher_policy_holds() {
    let authority = Authority::new();
    let entry = authority.p256("site", &["site.example"]).entry();
    let server = server(json!({"certificates": [entry], "ciphers": ["TLS_CHACHA20_POLY1305_SHA256"]}));
    let (pair, result) = meet(&Arc::new(foreign_client(&authority, &BOTH, &[])), &server, "site.example");
    assert_eq!(result, Ok(()));
    assert_eq!(pair.server.session.cipher_suite(), Some("TLS_CHACHA20_POLY1305_SHA256"));
    let ordered = kit::server(
        json!({"certificates": [entry], "ciphers": ["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384"]}),
    );
    let (pair, _) = meet(&Arc::new(foreign_client(&authority, &BOTH, &[])), &ordered, "site.example");
    assert_eq!(
        pair.server.session.cipher_suite(),
        Some("TLS_AES_128_GCM_SHA256"),
        "the client prefers AES-256"
    );
    let old = meet(&Arc::new(foreign_client(&authority, &[&TLS12], &[])), &server, "site.example").1;
    assert!(matches!(old, Err(End::Server(Error::Version(_) | Error::NothingInCommon(_)))), "{old:?}");
}

#[test]
fn challenges_answer_only_who_asks_for_nothing_else() {
    let authority = Authority::new();
    let site = authority.p256("site", &["site.example"]);
    let challenge = authority.p256("challenge", &["site.example"]);
    let challenges = Arc::new(Challenges::default());
    let plan: plan::Server =
        serde_json::from_value(json!({"certificates": [site.entry()], "acme": true})).unwrap();
    let server = ServerTls::compile(&plan, &challenges, None, NOW_UNIX).unwrap();
    let ask = |offered: &[&str]| {
        let config: Arc<ClientConfig> = Arc::new(foreign_client(&authority, &BOTH, offered));
        let (pair, result) = meet(&config, &server, "site.example");
        result.map(|()| pair.client.session.peer_certificates().unwrap()[0].to_vec())
    };
    assert_eq!(ask(&["acme-tls/1"]), Err(End::Server(Error::NoCertificateForName)));
    let read = |path| std::fs::read_to_string(path).unwrap();
    let pair = PemPair { certificate: read(&challenge.certificate), key: read(&challenge.key) };
    challenges.replace(&HashMap::from([("Site.Example".to_owned(), pair.clone())])).unwrap();
    assert_eq!(ask(&["acme-tls/1"]).unwrap(), der(&challenge));
    assert_eq!(ask(&["acme-tls/1", "h2"]).unwrap(), der(&site));
    assert_eq!(ask(&["h2"]).unwrap(), der(&site));

    let broken = PemPair { key: read(&challenge.certificate), ..pair };
    let problems = challenges.replace(&HashMap::from([("site.example".to_owned(), broken)])).unwrap_err();
    assert_eq!(problems[0].path, "site.example");
    assert_eq!(ask(&["acme-tls/1"]).unwrap(), der(&challenge), "all stays as it was");
    challenges.replace(&HashMap::new()).unwrap();
    assert_eq!(ask(&["acme-tls/1"]), Err(End::Server(Error::NoCertificateForName)));
}

#[test]
fn a_listener_may_wait_for_its_first_certificate() {
    let authority = Authority::new();
    let server = server(json!({"acme": true}));
    assert_eq!(leaf(&authority, &server, "site.example"), Err(End::Server(Error::NoCertificateForName)));
}

/// The one problem of a plan, as `path: message`.
fn problem(plan: Value) -> String {
    let problems = compile(plan, None).unwrap_err();
    assert_eq!(problems.len(), 1, "{problems:?}");
    problems[0].to_string()
}

#[test]
fn what_is_wrong_with_a_certificate_is_named() {
    let authority = Authority::new();
    let folder = Folder::new();
    let site = authority.p256("site", &["site.example"]);
    let other = authority.p256("other", &["site.example"]);
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
    let (mut old, mut young) = (params(&["old.example"]), params(&["young.example"]));
    old.not_after = date_time_ymd(2025, 12, 31);
    young.not_before = date_time_ymd(2090, 1, 1);
    let old = authority.make("old", &old, &key);
    let young = authority.make("young", &young, &key);
    let encrypted = folder.write(
        "locked.key",
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMAo=\n-----END ENCRYPTED PRIVATE KEY-----\n",
    );
    let text = folder.write("text.pem", "not a certificate");
    let broken =
        folder.write("broken.pem", "-----BEGIN CERTIFICATE-----\nMAMCAQE=\n-----END CERTIFICATE-----\n");
    let dsa = folder
        .write("dsa.key", "-----BEGIN PRIVATE KEY-----\nMAoCAQAwBQYDKgMEBAA=\n-----END PRIVATE KEY-----\n");
    let missing = folder.path().join("missing.pem");
    for (certificate, key, wanted) in [
        (&site.certificate, &other.key, "certificates[0].key: {key}: is not the key of {certificate}"),
        (
            &old.certificate,
            &old.key,
            "certificates[0].certificate: {certificate}: expired on 2025-12-31T00:00:00Z",
        ),
        (
            &young.certificate,
            &young.key,
            "certificates[0].certificate: {certificate}: is not valid before 2090-01-01T00:00:00Z",
        ),
        (&missing, &site.key, "certificates[0].certificate: {certificate}: no such file"),
        (&site.certificate, &missing, "certificates[0].key: {key}: no such file"),
        (&missing, &missing, "certificates[0].certificate: {certificate}: no such file"),
        (&text, &site.key, "certificates[0].certificate: {certificate}: holds no certificate in PEM"),
        (&broken, &site.key, "certificates[0].certificate: {certificate}: is no certificate: "),
        (&site.certificate, &encrypted, "certificates[0].key: {key}: the key is encrypted; decrypt it"),
        (&site.certificate, &site.certificate, "certificates[0].key: {key}: holds no private key in PEM"),
        (&site.certificate, &dsa, "certificates[0].key: {key}: the key cannot be used; RSA of 2048"),
    ] {
        let found = problem(json!({"certificates": [{"certificate": certificate, "key": key}]}));
        let wanted = wanted
            .replace("{certificate}", &certificate.display().to_string())
            .replace("{key}", &key.display().to_string());
        assert!(found.starts_with(&wanted), "{found}\nwanted: {wanted}");
    }
}

#[test]
fn what_is_wrong_with_the_rest_of_a_plan_is_named() {
    let authority = Authority::new();
    let folder = Folder::new();
    let entry = authority.p256("site", &["site.example"]).entry();
    let text = folder.write("text", "no key");
    let short = folder.write("short", "00112233\n");
    let outdated = authority.revoke("outdated.crl", &[1], 2024);
    for (part, wanted) in [
        (json!({"certificates": []}), "certificates: must hold one or more"),
        (json!({"alpn": []}), "alpn: must hold one or more"),
        (json!({"ciphers": ["RC4"]}), "ciphers: \"RC4\" is none; valid are TLS_AES_256_GCM_SHA384, "),
        (
            json!({"ciphers": ["TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"], "min_version": "1.3"}),
            "ciphers: none of these is for TLS 1.3",
        ),
        (json!({"client_auth": {"ca": text}}), "client_auth.ca: "),
        (json!({"client_auth": {"ca": authority.ca, "crl": [text]}}), "client_auth.crl[0]: "),
        (json!({"client_auth": {"ca": authority.ca, "crl": [outdated]}}), "client_auth.crl[0]: "),
        (json!({"tickets": {"lifetime_s": 604_801}}), "tickets.lifetime_s: more than 7 days"),
        (json!({"tickets": {"keys_file": text}}), "tickets.keys_file: "),
        (json!({"tickets": {"keys_file": short}}), "tickets.keys_file: "),
    ] {
        let mut plan = json!({"certificates": [entry]});
        plan.as_object_mut().unwrap().extend(part.as_object().unwrap().clone());
        let found = problem(plan);
        assert!(found.starts_with(wanted), "{found}\nwanted: {wanted}");
    }
    assert!(
        problem(json!({"certificates": [entry], "tickets": {"keys_file": short}}))
            .contains("line 1 has 4 bytes")
    );
    assert!(
        problem(json!({"certificates": [entry], "client_auth": {"ca": authority.ca, "crl": [outdated]}}))
            .contains("ended on 2024-12-31")
    );
}

#[test]
fn all_problems_are_found_at_once() {
    let authority = Authority::new();
    let entry = authority.p256("site", &["site.example"]).entry();
    let missing =
        json!({"certificate": "/nowhere/a.pem", "key": "/nowhere/a.key", "ocsp": "/nowhere/a.ocsp"});
    let problems = compile(
        json!({"certificates": [entry, missing], "ciphers": ["x"], "client_auth": {"ca": "/nowhere/ca", "crl": ["/nowhere/crl"]}}),
        None,
    )
    .unwrap_err();
    let paths: Vec<_> = problems.iter().map(|problem| problem.path.as_str()).collect();
    assert_eq!(
        paths,
        [
            "ciphers",
            "certificates[1].certificate",
            "certificates[1].key",
            "client_auth.ca",
            "client_auth.crl[0]"
        ]
    );
}

#[test]
fn a_p384_certificate_serves_and_its_end_is_known() {
    let authority = Authority::new();
    let mut params = params(&["site.example"]);
    params.not_after = date_time_ymd(2030, 1, 1);
    let files = authority.make("site", &params, &KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap());
    let server = server(json!({"certificates": [files.entry()]}));
    assert_eq!(leaf(&authority, &server, "site.example").unwrap(), der(&files));
    let info = &server.certificates()[0];
    assert_eq!(
        (info.not_after_unix, info.file.as_str()),
        (1_893_456_000, files.certificate.to_str().unwrap())
    );
}

mod stapling {
    use super::*;
    use std::time::Duration;
    use x509_cert::Certificate;
    use x509_cert::der::asn1::{BitString, GeneralizedTime, Null, OctetString};
    use x509_cert::der::{Decode, Encode};
    use x509_ocsp::{
        BasicOcspResponse, CertId, CertStatus, OcspGeneralizedTime, OcspResponse, ResponderId, ResponseData,
        RevokedInfo, SingleResponse, Version,
    };

    fn time(unix: u64) -> OcspGeneralizedTime {
        OcspGeneralizedTime(GeneralizedTime::from_unix_duration(Duration::from_secs(unix)).unwrap())
    }

    /// An answer about the certificate; its signature is nobody's business on our side.
    fn response(files: &Files, status: CertStatus, next_update: Option<u64>) -> Vec<u8> {
        let certificate = Certificate::from_der(files.made.der()).unwrap();
        let algorithm = certificate.signature_algorithm.clone();
        let answer = SingleResponse {
            cert_id: CertId {
                hash_algorithm: algorithm.clone(),
                issuer_name_hash: OctetString::new([0; 20]).unwrap(),
                issuer_key_hash: OctetString::new([0; 20]).unwrap(),
                serial_number: certificate.tbs_certificate.serial_number.clone(),
            },
            cert_status: status,
            this_update: time(NOW_UNIX - 60),
            next_update: next_update.map(time),
            single_extensions: None,
        };
        let data = ResponseData {
            version: Version::V1,
            responder_id: ResponderId::ByKey(OctetString::new([0; 20]).unwrap()),
            produced_at: time(NOW_UNIX - 60),
            responses: vec![answer],
            response_extensions: None,
        };
        let signature = BitString::from_bytes(&[0; 8]).unwrap();
        let basic = BasicOcspResponse {
            tbs_response_data: data,
            signature_algorithm: algorithm,
            signature,
            certs: None,
        };
        OcspResponse::successful(basic).unwrap().to_der().unwrap()
    }

    fn with_ocsp(files: &Files, folder: &Folder, bytes: &[u8]) -> Value {
        let mut entry = files.entry();
        entry["ocsp"] = json!(folder.write("site.ocsp", bytes));
        json!({"certificates": [entry]})
    }

    #[test]
    fn a_response_from_a_file_is_stapled() {
        let (authority, folder) = (Authority::new(), Folder::new());
        let site = authority.p256("site", &["site.example"]);
        for next_update in [None, Some(NOW_UNIX + 60)] {
            let bytes = response(&site, CertStatus::Good(Null), next_update);
            let server = server(with_ocsp(&site, &folder, &bytes));
            assert_eq!(shown(&authority, &server, "site.example", &ECDSA).unwrap(), (der(&site), bytes));
        }
    }

    #[test]
    fn a_response_that_is_out_of_date_is_left_out_with_a_warning() {
        let (authority, folder) = (Authority::new(), Folder::new());
        let site = authority.p256("site", &["site.example"]);
        let bytes = response(&site, CertStatus::Good(Null), Some(NOW_UNIX));
        let server = server(with_ocsp(&site, &folder, &bytes));
        assert_eq!(shown(&authority, &server, "site.example", &ECDSA).unwrap(), (der(&site), Vec::new()));
        let warnings: Vec<String> = server.warnings().iter().map(ToString::to_string).collect();
        let [warning] = warnings.as_slice() else { panic!("{warnings:?}") };
        assert!(
            warning.starts_with("certificates[0].ocsp: ") && warning.contains("is out of date"),
            "{warning}"
        );
    }

    #[test]
    fn a_response_that_would_harm_is_refused() {
        let (authority, folder) = (Authority::new(), Folder::new());
        let site = authority.p256("site", &["site.example"]);
        let other = authority.p256("other", &["site.example"]);
        let revoked =
            CertStatus::Revoked(RevokedInfo { revocation_time: time(NOW_UNIX), revocation_reason: None });
        for (bytes, wanted) in [
            (response(&other, CertStatus::Good(Null), None), "is for another certificate"),
            (response(&site, revoked, None), "says that the certificate is revoked"),
            (response(&site, CertStatus::Unknown(Null), None), "is unknown to its issuer"),
            (OcspResponse::try_later().to_der().unwrap(), "the responder did not answer: TryLater"),
            (b"-----BEGIN".to_vec(), "is no OCSP response in DER"),
        ] {
            let found = problem(with_ocsp(&site, &folder, &bytes));
            assert!(found.starts_with("certificates[0].ocsp: ") && found.contains(wanted), "{found}");
        }
    }
}

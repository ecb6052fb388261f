//! The cluster's keys: one authority, the API server's certificate, the service accounts' signing key.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};

use crate::Error;

/// The names and addresses by which clients inside and outside reach the API server.
const SERVER_NAMES: [&str; 7] = [
    "127.0.0.1",
    crate::control::FIRST_SERVICE_ADDRESS,
    "localhost",
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
];

/// Writes `ca.crt`, `apiserver.{crt,key}` and `sa.{key,pub}` into `folder`, all for P-256.
pub(crate) fn write(folder: &Path) -> Result<(), Error> {
    let authority = authority()?;
    let server_key = KeyPair::generate()?;
    let server = server_params()?.signed_by(&server_key, &authority)?;
    let accounts = KeyPair::generate()?;
    put(&folder.join("ca.crt"), &authority.pem())?;
    put(&folder.join("apiserver.crt"), &server.pem())?;
    put(&folder.join("apiserver.key"), &server_key.serialize_pem())?;
    put(&folder.join("sa.key"), &accounts.serialize_pem())?;
    put(&folder.join("sa.pub"), &accounts.public_key_pem())
}

fn authority() -> Result<CertifiedIssuer<'static, KeyPair>, Error> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name.push(DnType::CommonName, "portico test cluster");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(CertifiedIssuer::self_signed(params, KeyPair::generate()?)?)
}

fn server_params() -> Result<CertificateParams, Error> {
    let names: Vec<String> = SERVER_NAMES.iter().map(ToString::to_string).collect();
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name.push(DnType::CommonName, "kube-apiserver");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    Ok(params)
}

/// Writes a file that only this user can read.
pub(crate) fn put(path: &Path, text: &str) -> Result<(), Error> {
    let mut options = OpenOptions::new();
    options.create(true).truncate(true).write(true).mode(0o600);
    let mut file = options.open(path).map_err(Error::file("writing", path))?;
    file.write_all(text.as_bytes()).map_err(Error::file("writing", path))
}

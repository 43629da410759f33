//! rustls over tokio: TLS 1.3 with one suite, messages behind a 4-byte length.
//!
//! Only the listener proves who it is, as most TLS does.

use std::sync::{Arc, LazyLock};

use rcgen::{CertifiedKey, KeyPair};
use tokio::io::BufReader;
use tokio::net::TcpStream;
use tokio_rustls::rustls::crypto::CryptoProvider;
use tokio_rustls::rustls::crypto::aws_lc_rs::{cipher_suite, default_provider};
use tokio_rustls::rustls::pki_types::{PrivatePkcs8KeyDer, ServerName};
use tokio_rustls::rustls::version::TLS13;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig, SupportedCipherSuite};
use tokio_rustls::{TlsAcceptor, TlsConnector, TlsStream};

use crate::framed::{Framed, READ_BUFFER, WRITE_BUFFER};
use crate::tokio_peer::Protocol;

/// The name in the listener's certificate.
pub(crate) const NAME: &str = "localhost";

/// Which cipher suite TLS uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Suite {
    /// `TLS_CHACHA20_POLY1305_SHA256`.
    ChaCha20Poly1305,
    /// `TLS_AES_256_GCM_SHA384`.
    Aes256Gcm,
}

impl Suite {
    fn rustls(self) -> SupportedCipherSuite {
        match self {
            Self::ChaCha20Poly1305 => cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
            Self::Aes256Gcm => cipher_suite::TLS13_AES_256_GCM_SHA384,
        }
    }
}

/// The listener's certificate and its secret key.
pub(crate) static IDENTITY: LazyLock<CertifiedKey<KeyPair>> =
    LazyLock::new(|| rcgen::generate_simple_self_signed([NAME.to_owned()]).expect("a certificate"));

/// The settings of a dialer and of a listener that offer one suite of TLS 1.3.
pub(crate) fn configs(suite: Suite) -> (ClientConfig, ServerConfig) {
    let provider = Arc::new(CryptoProvider {
        cipher_suites: vec![suite.rustls()],
        ..default_provider()
    });
    let certificate = IDENTITY.cert.der();
    let key = PrivatePkcs8KeyDer::from(IDENTITY.signing_key.serialize_der());
    let mut roots = RootCertStore::empty();
    roots.add(certificate.clone()).expect("our certificate");
    let client = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&TLS13])
        .expect("the suite is of TLS 1.3")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let mut server = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])
        .expect("the suite is of TLS 1.3")
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key.into())
        .expect("the key is the certificate's");
    // A dialer that only sends never reads them, and closing a socket with unread data destroys
    // what is still on its way.
    server.send_tls13_tickets = 0;
    (client, server)
}

/// Both ends' settings.
#[derive(Clone)]
pub(crate) struct Tls {
    connector: TlsConnector,
    acceptor: TlsAcceptor,
}

impl Tls {
    pub(crate) fn new(suite: Suite) -> Self {
        let (client, server) = configs(suite);
        Self {
            connector: Arc::new(client).into(),
            acceptor: Arc::new(server).into(),
        }
    }

    async fn connect(self, socket: TcpStream) -> TlsBytes {
        let name = ServerName::try_from(NAME).expect("a name");
        let stream = self.connector.connect(name, buffered(socket)).await;
        Self::seal_batches(stream.expect("a TLS handshake").into())
    }

    async fn answer(self, socket: TcpStream) -> TlsBytes {
        let stream = self.acceptor.accept(buffered(socket)).await;
        Self::seal_batches(stream.expect("a TLS handshake").into())
    }

    /// Lets a stream seal a whole batch before it writes.
    fn seal_batches(mut stream: TlsBytes) -> TlsBytes {
        match &mut stream {
            TlsStream::Client(stream) => stream.get_mut().1.set_buffer_limit(Some(WRITE_BUFFER)),
            TlsStream::Server(stream) => stream.get_mut().1.set_buffer_limit(Some(WRITE_BUFFER)),
        }
        stream
    }
}

/// What TLS makes of a socket.
type TlsBytes = TlsStream<BufReader<TcpStream>>;

/// rustls reads 4 KiB at a time, so it reads from a buffer instead of from the kernel.
fn buffered(socket: TcpStream) -> BufReader<TcpStream> {
    BufReader::with_capacity(READ_BUFFER, socket)
}

impl Protocol for Tls {
    type Link = Framed<TlsBytes>;

    async fn dial(self, socket: TcpStream) -> Self::Link {
        Framed::new(self.connect(socket).await)
    }

    async fn accept(self, socket: TcpStream) -> Self::Link {
        Framed::new(self.answer(socket).await)
    }
}

/// TLS whose user frames messages otherwise.
#[derive(Clone)]
pub(crate) struct UnframedTls(pub(crate) Tls);

impl Protocol for UnframedTls {
    type Link = TlsBytes;

    async fn dial(self, socket: TcpStream) -> TlsBytes {
        self.0.connect(socket).await
    }

    async fn accept(self, socket: TcpStream) -> TlsBytes {
        self.0.answer(socket).await
    }
}

//! A client that goes through a SOCKS 5 proxy with a name and a password (RFC 1929). The library's own way to such a
//! proxy shows none; all else of the client is put together as the library does it.

use http::Uri;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::proxy::SocksV5;
use hyper_util::rt::TokioExecutor;
use kube::Config;
use kube::client::{Body, ClientBuilder, ConfigExt};
use tower::{BoxError, ServiceBuilder};
use tower_http::decompression::DecompressionLayer;

/// The name and the password for the proxy, where a configuration leads through one of this kind and has them.
pub(super) fn login(config: &Config) -> Option<(Uri, String, String)> {
    let proxy = config.proxy_url.as_ref().filter(|url| url.scheme_str() == Some("socks5"))?;
    let (user, _) = proxy.authority()?.as_str().rsplit_once('@')?;
    let (name, password) = user.split_once(':').unwrap_or((user, ""));
    Some((proxy.clone(), decode(name), decode(password)))
}

/// The client.
pub(super) fn client(config: &Config, login: (Uri, String, String)) -> Result<kube::Client, kube::Error> {
    let (proxy, name, password) = login;
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_connect_timeout(config.connect_timeout);
    let socks = SocksV5::new(proxy, tcp).with_auth(name, password);
    let tls = config.rustls_https_connector_with_connector(socks)?;
    let http = Client::builder(TokioExecutor::new()).build::<_, Body>(tls);
    let service = ServiceBuilder::new()
        .layer(config.base_uri_layer())
        .layer(DecompressionLayer::new().gzip(!config.disable_compression))
        .option_layer(config.auth_layer()?)
        .layer(config.extra_headers_layer()?)
        .map_err(BoxError::from)
        .service(http);
    Ok(ClientBuilder::new(service, config.default_namespace.clone()).build())
}

/// A part of a URL as it is meant (RFC 3986, 2.1); what is no escape stands for itself.
pub(super) fn decode(text: &str) -> String {
    percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_passwords_are_meant() {
        let login = |url: &str| {
            let mut config = Config::new("https://api.test".parse().unwrap());
            config.proxy_url = Some(url.parse().unwrap());
            login(&config).map(|(_, name, password)| (name, password))
        };
        let pair = |name: &str, password: &str| Some((name.to_owned(), password.to_owned()));
        assert_eq!(login("socks5://dev:p%40s%3as%C3%A9@proxy:1080"), pair("dev", "p@s:sé"));
        assert_eq!(login("socks5://dev@proxy:1080"), pair("dev", ""));
        assert_eq!(login("socks5://proxy:1080"), None);
        assert_eq!(login("http://dev:pw@proxy:1080"), None);
        assert_eq!(decode("100%+1%4"), "100%+1%4");
    }
}

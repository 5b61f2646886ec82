//! A function in Rust over `wasi:http` 0.3: the head is returned, the body follows in a task of its own.

use wasip3::http::types::{ErrorCode, Fields, Request, Response};
use wasip3::{wit_future, wit_stream};

struct Hello;
wasip3::http::service::export!(Hello);

impl wasip3::exports::http::handler::Guest for Hello {
    async fn handle(_request: Request) -> Result<Response, ErrorCode> {
        let headers = [("content-type".to_owned(), b"text/plain".to_vec())];
        let headers = Fields::from_list(&headers).map_err(|_| ErrorCode::ConfigurationError)?;
        let (mut body, body_reader) = wit_stream::new();
        let (trailers, trailers_reader) = wit_future::new(|| Ok(None));
        let (response, _sent) = Response::new(headers, Some(body_reader), trailers_reader);
        wasip3::spawn_local(async move {
            body.write_all(b"Hello from {{name}}!\n".to_vec()).await;
            drop(body);
            // An error means that the client is gone; there is nobody to tell.
            let _ = trailers.write(Ok(None)).await;
        });
        Ok(response)
    }
}

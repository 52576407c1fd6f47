import CLibcurl

extension APIError {
    /// The error for libcurl's result of a transfer; its own text only, which holds neither headers nor body.
    ///
    /// - Parameter systemError: `errno` of the connection, 0 when there was none.
    static func transfer(_ result: CURLcode, systemError: Int, operation: String) -> APIError {
        let text = curl_easy_strerror(result).map { String(cString: $0) } ?? "the transfer failed"
        return APIError(
            code(of: result, systemError: systemError), operation: operation, message: text,
            reason: "CURL\(result.rawValue)")
    }

    private static func code(of result: CURLcode, systemError: Int) -> Code {
        switch result {
        case CURLE_OPERATION_TIMEDOUT: .timeout
        case CURLE_UNSUPPORTED_PROTOCOL, CURLE_URL_MALFORMAT, CURLE_PEER_FAILED_VERIFICATION, CURLE_SSL_CERTPROBLEM,
            CURLE_SSL_CIPHER, CURLE_SSL_CACERT_BADFILE, CURLE_SSL_ISSUER_ERROR, CURLE_SSL_CRL_BADFILE:
            .insecure
        // A handshake may fail for good (versions, plain text on the other side) or because the connection broke.
        case CURLE_SSL_CONNECT_ERROR: systemError == 0 ? .insecure : .unavailable
        case CURLE_WEIRD_SERVER_REPLY, CURLE_BAD_CONTENT_ENCODING, CURLE_WRITE_ERROR: .malformedResponse
        case CURLE_OUT_OF_MEMORY, CURLE_FILESIZE_EXCEEDED: .tooLarge
        case CURLE_ABORTED_BY_CALLBACK: .cancelled
        default: .unavailable
        }
    }

    static func refused(_ refusal: CurlTransferState.Refusal, request: HTTPRequest) -> APIError {
        switch refusal {
        case .headTooLarge:
            APIError(.tooLarge, operation: request.operation, message: "the reply's headers are too long")
        case .malformedHead:
            APIError(.malformedResponse, operation: request.operation, message: "the reply's headers are malformed")
        case .bodyTooLarge:
            APIError(
                .tooLarge, operation: request.operation,
                message: "the reply has more than \(request.maximumResponseBytes) bytes")
        }
    }
}

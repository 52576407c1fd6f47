import CLibcurl
import Glibc

extension APIError {
    /// The error for libcurl's result of a transfer; its own words only, which hold neither headers nor body.
    ///
    /// - Parameters:
    ///   - systemError: `errno` of the connection, 0 when there was none.
    ///   - text: libcurl's words for this failure.
    static func transfer(_ result: CURLcode, systemError: Int, text: String, operation: String) -> APIError {
        APIError(
            code(of: result, systemError: systemError, text: text), operation: operation,
            message: message(for: result, systemError: systemError, text: text), reason: "CURL\(result.rawValue)")
    }

    private static func code(of result: CURLcode, systemError: Int, text: String) -> Code {
        switch result {
        case CURLE_OPERATION_TIMEDOUT: .timeout
        case CURLE_UNSUPPORTED_PROTOCOL, CURLE_URL_MALFORMAT, CURLE_PEER_FAILED_VERIFICATION, CURLE_SSL_CERTPROBLEM,
            CURLE_SSL_CIPHER, CURLE_SSL_CACERT_BADFILE, CURLE_SSL_ISSUER_ERROR, CURLE_SSL_CRL_BADFILE:
            .insecure
        // A handshake may fail for good (versions, plain text on the other side) or because the connection broke.
        case CURLE_SSL_CONNECT_ERROR: systemError == 0 ? .insecure : .unavailable
        // In TLS 1.3 a server refuses a client's certificate only after the handshake, by an alert.
        case CURLE_RECV_ERROR where text.contains(" alert "), CURLE_SEND_ERROR where text.contains(" alert "): .insecure
        case CURLE_WEIRD_SERVER_REPLY, CURLE_BAD_CONTENT_ENCODING, CURLE_WRITE_ERROR: .malformedResponse
        case CURLE_OUT_OF_MEMORY, CURLE_FILESIZE_EXCEEDED: .tooLarge
        case CURLE_ABORTED_BY_CALLBACK: .cancelled
        default: .unavailable
        }
    }

    /// The same failure gives the same sentence each time, as it may end in an object's status: times and byte counts
    /// are left out.
    private static func message(for result: CURLcode, systemError: Int, text: String) -> String {
        let general = curl_easy_strerror(result).map { String(cString: $0) } ?? "the transfer failed"
        switch result {
        case CURLE_COULDNT_CONNECT,
            CURLE_SEND_ERROR where text.isEmpty,
            CURLE_RECV_ERROR where text.isEmpty:
            let cause = systemError == 0 ? nil : strerror(Int32(systemError)).map { String(cString: $0) }
            return cause.map { "\(general): \($0)" } ?? general
        case CURLE_OPERATION_TIMEDOUT, CURLE_PARTIAL_FILE, CURLE_WRITE_ERROR: return general
        default: return text.isEmpty ? general : text
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

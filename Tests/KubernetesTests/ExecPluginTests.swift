import Encoding
import Glibc
import HTTP
import Telemetry
import Testing

@testable import Kubernetes

/// A credential plugin: a shell script that notes each run and prints what its file `answer` holds.
private struct Plugin {
    let folder: Folder
    let clock = HandClock()
    let book = LogBook()
    let source: any CredentialSource

    /// - Parameters:
    ///   - script: run instead of printing `answer`.
    ///   - fields: more of the `exec` field.
    init(
        _ script: String = "cat \"$here/answer\"", version: String = "v1", command: String = "./plugin",
        fields: String = "", cluster: String = "", isThere: Bool = true
    ) throws {
        folder = try Folder()
        if isThere {
            let head = "#!/bin/sh\nhere=\(folder.path)\necho run >>\"$here/runs\"\n"
            try folder.write("plugin", head + script + "\n", isExecutable: true)
        }
        let user =
            "exec: {apiVersion: client.authentication.k8s.io/\(version), command: \(command), interactiveMode: Never"
            + "\(fields)}"
        let config = try Kubeconfig(
            text: KubeconfigText.config(user: user, cluster: cluster), directory: folder.path, source: "config")
        source = try config.connection(
            environment: ["PATH": "/usr/bin:/bin:\(folder.path)", "INHERITED": "yes"], log: book.log, clock: clock
        ).credentials
    }

    var runCount: Int { folder.read("runs")?.split(separator: "\n").count ?? 0 }

    func answer(_ status: String, version: String = "v1", kind: String = "ExecCredential") throws {
        try folder.write(
            "answer",
            #"{"apiVersion":"client.authentication.k8s.io/\#(version)","kind":"\#(kind)","status":\#(status)}"#)
    }

    func token() async throws -> String? { try await source.credential().token?.revealed }

    /// The sentence of a failure.
    func problem() async -> String? {
        let error = await failure { () async throws(APIError) in try await source.credential() }
        return error?.code == .unauthorized ? error?.message : nil
    }

    func expiring(after seconds: Int, token: String) throws {
        let moment = clock.now + .seconds(seconds)
        try answer(#"{"token":"\#(token)","expirationTimestamp":"\#(moment)"}"#)
    }
}

@Suite(.timeLimit(.minutes(3))) struct ExecPluginTests {
    @Test(arguments: ["v1", "v1beta1"])
    func `the token that it prints is used until it is refused`(version: String) async throws {
        let plugin = try Plugin(version: version)
        try plugin.answer(#"{"token":"one"}"#, version: version)
        #expect(try await plugin.token() == "one")
        plugin.clock.advance(by: .seconds(86400 * 365))
        #expect(try await plugin.token() == "one")
        #expect(plugin.runCount == 1)
        try plugin.answer(#"{"token":"two"}"#, version: version)
        #expect(await plugin.source.refused(Credential(token: "one")))
        #expect(try await plugin.token() == "two")
        #expect(plugin.runCount == 2)
    }

    @Test func `it is run again before its credentials expire`() async throws {
        let plugin = try Plugin()
        try plugin.expiring(after: 3600, token: "one")
        #expect(try await plugin.token() == "one")
        plugin.clock.advance(by: .seconds(3539))
        #expect(try await plugin.token() == "one")
        try plugin.expiring(after: 100, token: "two")
        plugin.clock.advance(by: .seconds(1))
        #expect(try await plugin.token() == "two")
        // Of a short life a tenth is left over.
        plugin.clock.advance(by: .seconds(89))
        #expect(try await plugin.token() == "two")
        try plugin.expiring(after: 100, token: "three")
        plugin.clock.advance(by: .seconds(1))
        #expect(try await plugin.token() == "three")
        #expect(plugin.runCount == 3)
    }

    @Test func `credentials that are expired already are used once, and not for ever`() async throws {
        let plugin = try Plugin()
        try plugin.expiring(after: -10, token: "old")
        #expect(try await plugin.token() == "old")
        #expect(try await plugin.token() == "old")
        #expect(plugin.runCount == 2)
    }

    @Test func `many requests at once cause one run`() async throws {
        let plugin = try Plugin("sleep 0.2; cat \"$here/answer\"")
        try plugin.answer(#"{"token":"t"}"#)
        let source = plugin.source
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<50 {
                group.addTask {
                    let error = await failure { () async throws(APIError) in try await source.credential() }
                    #expect(error == nil)
                }
            }
        }
        #expect(plugin.runCount == 1)
    }

    @Test func `a refusal of credentials that were replaced meanwhile, or just fetched, causes no run`() async throws {
        let plugin = try Plugin()
        try plugin.answer(#"{"token":"t"}"#)
        #expect(try await plugin.token() == "t")
        #expect(await plugin.source.refused(Credential(token: "older")))
        #expect(try await plugin.token() == "t")
        #expect(await plugin.source.refused(Credential(token: "t")) == false)
        #expect(try await plugin.token() == "t")
        #expect(plugin.runCount == 1)
        plugin.clock.advance(by: .seconds(10))
        #expect(await plugin.source.refused(Credential(token: "t")))
        #expect(try await plugin.token() == "t")
        #expect(plugin.runCount == 2)
    }

    @Test func `a client certificate is used, and printed as stars`() async throws {
        let plugin = try Plugin()
        try plugin.answer(#"{"clientCertificateData":"CERT","clientKeyData":"KEY"}"#)
        let credential = try await plugin.source.credential()
        let identity = TLSIdentity(certificate: .bytes(Array("CERT".utf8)), key: .bytes(Array("KEY".utf8)))
        #expect(credential == Credential(identity: identity))
        #expect(!"\(credential)".contains("KEY"))
    }

    @Test func `it gets its arguments, its environment over ours, and what it is asked for`() async throws {
        let script = """
            echo "$1/$2/$INHERITED/$OWN" >"$here/seen"
            printf '%s' "$KUBERNETES_EXEC_INFO" >"$here/info"
            cat >"$here/input"; cat "$here/answer"
            """
        let ca = KubeconfigText.base64(KubeconfigText.certificate)
        let plugin = try Plugin(
            script,
            fields: ", args: [get-token, 'a b'], env: [{name: OWN, value: mine}], provideClusterInfo: true",
            cluster: ", certificate-authority-data: \(ca), tls-server-name: inner, "
                + "extensions: [{name: client.authentication.k8s.io/exec, extension: {audience: x}}]")
        try plugin.answer(#"{"token":"t"}"#)
        _ = try await plugin.token()
        #expect(plugin.folder.read("seen") == "get-token/a b/yes/mine\n")
        #expect(plugin.folder.read("input") == "")
        let info = try JSONValue(parsing: Array((plugin.folder.read("info") ?? "").utf8))
        #expect(
            info == [
                "apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential",
                "spec": [
                    "interactive": false,
                    "cluster": [
                        "server": "https://10.0.0.1:6443", "certificate-authority-data": .string(ca),
                        "tls-server-name": "inner", "config": ["audience": "x"],
                    ],
                ],
            ])
    }

    @Test func `without being asked for, the cluster is not told`() async throws {
        let plugin = try Plugin("printf '%s' \"$KUBERNETES_EXEC_INFO\" >\"$here/info\"; cat \"$here/answer\"")
        try plugin.answer(#"{"token":"t"}"#)
        _ = try await plugin.token()
        let info = try JSONValue(parsing: Array((plugin.folder.read("info") ?? "").utf8))
        #expect(info["spec"] == ["interactive": false])
    }

    @Test func `a name without a slash is looked up in PATH`() async throws {
        let plugin = try Plugin(command: "plugin")
        try plugin.answer(#"{"token":"t"}"#)
        #expect(try await plugin.token() == "t")
    }

    @Test func `a kubeconfig as gcloud writes it works, and without its plugin says what to install`() async throws {
        let text = """
            apiVersion: v1
            clusters:
            - cluster:
                certificate-authority-data: \(KubeconfigText.base64(KubeconfigText.certificate))
                server: https://203.0.113.10
              name: gke_my-project_us-central1_training
            contexts:
            - context:
                cluster: gke_my-project_us-central1_training
                user: gke_my-project_us-central1_training
              name: gke_my-project_us-central1_training
            current-context: gke_my-project_us-central1_training
            kind: Config
            preferences: {}
            users:
            - name: gke_my-project_us-central1_training
              user:
                exec:
                  apiVersion: client.authentication.k8s.io/v1beta1
                  args: null
                  command: gke-gcloud-auth-plugin
                  env: null
                  installHint: |-
                    Install gke-gcloud-auth-plugin for use with kubectl by following
                      https://cloud.google.com/kubernetes-engine/docs/how-to/cluster-access-for-kubectl
                  interactiveMode: IfAvailable
                  provideClusterInfo: true
            """
        let folder = try Folder()
        let config = try Kubeconfig(text: text)
        let connection = try config.connection(environment: ["PATH": folder.path])
        let error = await failure { () async throws(APIError) in try await connection.credentials.credential() }
        #expect(
            error?.message
                == "kubeconfig: users[gke_my-project_us-central1_training].user.exec: gke-gcloud-auth-plugin was not "
                + "found in PATH; Install gke-gcloud-auth-plugin for use with kubectl by following "
                + "https://cloud.google.com/kubernetes-engine/docs/how-to/cluster-access-for-kubectl")
        try folder.write(
            "gke-gcloud-auth-plugin",
            """
            #!/bin/sh
            echo '{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1beta1","spec":{"interactive":\
            false},"status":{"expirationTimestamp":"2099-01-01T00:00:00Z","token":"ya29.x"}}'
            """, isExecutable: true)
        let later = try config.connection(environment: ["PATH": "\(folder.path):/usr/bin:/bin"])
        #expect(try await later.credentials.credential() == Credential(token: "ya29.x"))
    }

    @Test func `a program that is not there is named, with the hint how to install it`() async throws {
        let hint = ", installHint: install it with apt"
        let place = "config: users[me].user.exec"
        let byName = try Plugin(command: "no-such-plugin", fields: hint)
        #expect(await byName.problem() == "\(place): no-such-plugin was not found in PATH; install it with apt")
        let byPath = try Plugin(command: "./plugin", fields: hint, isThere: false)
        #expect(
            await byPath.problem()
                == "\(place): \(byPath.folder.path)/./plugin cannot be started: No such file or directory; "
                + "install it with apt")
        let notExecutable = try Plugin(command: "./answer")
        try notExecutable.answer(#"{"token":"t"}"#)
        #expect(await notExecutable.problem()?.hasSuffix("cannot be started: Permission denied") == true)
    }

    struct Bad: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let script: String
        let problem: String

        init(_ name: String, _ script: String, _ problem: String) {
            (testDescription, self.script, self.problem) = (name, script, problem)
        }

        init(status: String, _ problem: String) {
            let object =
                #"{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":\#(status)}"#
            self.init(status, "echo '\(object)'", problem)
        }
    }

    static let bad: [Bad] = [
        Bad(
            "a failure", "echo one >&2; echo 'login first' >&2; echo >&2; exit 3",
            "ended with exit status 3: login first"),
        Bad("a silent failure", "exit 1", "ended with exit status 1"),
        Bad("a crash", "kill -SEGV $$", "ended with signal 11"),
        Bad(
            "control characters in its last words", "printf 'a\\033[31mb\\n' >&2; exit 1",
            "ended with exit status 1: a[31mb"),
        Bad("no output", "true", "printed something else than JSON"),
        Bad("no JSON", "echo canary", "printed something else than JSON"),
        Bad("another kind", "echo '{\"kind\":\"Pod\"}'", "printed no ExecCredential"),
        Bad(
            "another version",
            "echo '{\"kind\":\"ExecCredential\",\"apiVersion\":\"client.authentication.k8s.io/v1beta1\"}'",
            "answers with apiVersion \"client.authentication.k8s.io/v1beta1\", but client.authentication.k8s.io/v1 is "
                + "configured"),
        Bad(status: "null", "printed no status"),
        Bad(status: "{}", "printed neither a token nor a client certificate"),
        Bad(
            status: #"{"token":"canary","clientKeyData":"canary"}"#,
            "printed a client certificate without its key, or a key alone"),
        Bad(
            status: #"{"token":"canary","expirationTimestamp":"tomorrow"}"#,
            "printed an expirationTimestamp that is no RFC 3339 time"),
        Bad("endless output", "yes canary", "printed more than 1048576 bytes"),
    ]

    @Test(arguments: bad)
    func `what goes wrong is said, without what it printed`(_ bad: Bad) async throws {
        let plugin = try Plugin(bad.script)
        let folder = plugin.folder.path
        #expect(await plugin.problem() == "config: users[me].user.exec: \(folder)/./plugin \(bad.problem)")
    }

    @Test func `one that hangs is killed with all that it started`() async throws {
        let folder = try Folder()
        let path = try folder.write(
            "plugin", "#!/bin/sh\nsleep 300 & echo $! >\(folder.path)/child; echo waiting >&2; wait\n",
            isExecutable: true)
        let plugin = ExecPlugin(
            apiVersion: "v1", command: path, arguments: [], environment: ["PATH": "/usr/bin:/bin"], searchPath: "",
            place: "here", timeout: .milliseconds(500))
        let error = await failure { () async throws(APIError) in try await plugin.run() }
        #expect(error?.message == "here: \(path) did not end within 0.5 seconds: waiting")
        let child = try #require(folder.read("child").flatMap { Int32($0.dropLast()) })
        var isGone = false
        for _ in 0..<500 where !isGone {
            isGone = kill(child, 0) != 0
            // A killed process whose parent is gone may wait for its new parent to reap it.
            if let state = try? String(decoding: ConfigurationFile.bytes("/proc/\(child)/stat"), as: UTF8.self) {
                isGone = isGone || state.contains(") Z ")
            }
            usleep(10_000)
        }
        #expect(isGone)
    }

    @Test func `one that ends while its child keeps the pipe open is not waited for`() async throws {
        let plugin = try Plugin("sleep 300 & cat \"$here/answer\"")
        try plugin.answer(#"{"token":"t"}"#)
        let began = ContinuousClock.now
        #expect(try await plugin.token() == "t")
        #expect(ContinuousClock.now - began < .seconds(25))
    }

    @Test func `one that fails is not started again for each request`() async throws {
        let plugin = try Plugin("exit 1")
        for _ in 0..<20 { #expect(await plugin.problem() != nil) }
        #expect(plugin.runCount == 1)
        plugin.clock.advance(by: .seconds(5))
        #expect(await plugin.problem() != nil)
        #expect(plugin.runCount == 2)
    }

    @Test func `one that fails before its last credentials expire leaves them in use, with a warning`() async throws {
        let plugin = try Plugin("test -e \"$here/broken\" && { echo broken >&2; exit 1; }; cat \"$here/answer\"")
        try plugin.expiring(after: 3600, token: "one")
        #expect(try await plugin.token() == "one")
        try plugin.folder.write("broken", "")
        plugin.clock.advance(by: .seconds(3570))
        #expect(try await plugin.token() == "one")
        #expect(plugin.book.lines.map(\.level) == [.warning])
        plugin.clock.advance(by: .seconds(30))
        #expect(await plugin.problem()?.hasSuffix("ended with exit status 1: broken") == true)
    }
}

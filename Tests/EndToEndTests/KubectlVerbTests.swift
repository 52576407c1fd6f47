import Glibc
import System
import Testing

@testable import TrainyardCommand

/// The everyday verbs, by each kubectl at hand: what it prints and how it ends.
@Suite(
    .serialized,
    .enabled(if: Kubectl.path != nil, "kubectl is not there: put it into PATH or name it in TRAINYARD_KUBECTL"))
struct `every kubectl against sandbox up` {
    @Test(arguments: Kubectl.paths)
    func `creates, shows and changes built-in kinds`(program: String) async throws {
        let world = try await KubectlWorld(options: ["--no-operator"], program: program)
        #expect(try await world.kubectl("create", "namespace", "team") == "namespace/team created\n")
        #expect(
            try await world.kubectl("create", "configmap", "settings", "--from-literal=a=1", "-n", "team")
                == "configmap/settings created\n")
        #expect(
            try await world.kubectl("create", "secret", "generic", "key", "--from-literal=token=x", "-n", "team")
                == "secret/key created\n")
        #expect(
            try await world.kubectl("create", "serviceaccount", "robot", "-n", "team")
                == "serviceaccount/robot created\n")
        #expect(
            try await world.kubectl(
                "create", "job", "hello", "--image=example.com/i:1", "-n", "team", "--", "echo", "hi")
                == "job.batch/hello created\n")
        let command = try await world.kubectl(
            "get", "job", "hello", "-n", "team", "-o", "jsonpath={.spec.template.spec.containers[0]['image','command']}"
        )
        #expect(command == #"example.com/i:1 ["echo","hi"]"#)
        let described = try await world.kubectl("describe", "configmap", "settings", "-n", "team")
        #expect(
            described.contains("Name:         settings\nNamespace:    team\n") && described.contains("a:\n----\n1\n"))
        #expect(
            try await world.kubectl("describe", "job", "hello", "-n", "team").contains("Image:      example.com/i:1"))
        try await changes(world)
        try await deletes(world)
        await world.end()
    }

    private func changes(_ world: KubectlWorld) async throws {
        #expect(
            try await world.kubectl("label", "configmap", "settings", "tier=one", "-n", "team")
                == "configmap/settings labeled\n")
        #expect(
            try await world.kubectl("annotate", "configmap", "settings", "note=text", "-n", "team")
                == "configmap/settings annotated\n")
        for (type, patch) in [
            ("merge", #"{"data":{"b":"2"}}"#), ("strategic", #"{"data":{"c":"3"}}"#),
            ("json", #"[{"op":"replace","path":"/data/a","value":"9"}]"#),
        ] {
            #expect(
                try await world.kubectl("patch", "configmap", "settings", "-n", "team", "--type=\(type)", "-p", patch)
                    == "configmap/settings patched\n")
        }
        let columns = try await world.kubectl(
            "get", "configmap", "-n", "team", "-l", "tier=one", "-o",
            "custom-columns=NAME:.metadata.name,A:.data.a,B:.data.b,C:.data.c", "--no-headers")
        #expect(columns.split(separator: " ").map { $0.filter { $0 != "\n" } } == ["settings", "9", "2", "3"])
        let editor = try world.write("editor", "#!/bin/sh\nsed -i 's/a: \"9\"/a: \"10\"/' \"$1\"\n")
        chmod(editor, 0o755)
        #expect(
            try await world.kubectl(
                "edit", "configmap", "settings", "-n", "team", environment: ["EDITOR": editor, "KUBE_EDITOR": editor])
                == "configmap/settings edited\n")
        #expect(try await world.kubectl("get", "cm", "settings", "-n", "team", "-o", "jsonpath={.data.a}") == "10")
        #expect(try await world.kubectl("auth", "can-i", "delete", "pods", "-n", "team") == "yes\n")
    }

    private func deletes(_ world: KubectlWorld) async throws {
        for (name, cascade) in [("b", "background"), ("f", "foreground"), ("o", "orphan")] {
            try await world.kubectl("create", "job", name, "--image=example.com/i:1", "-n", "team")
            let deleted = try await world.kubectl("delete", "job", name, "-n", "team", "--cascade=\(cascade)")
            #expect(deleted.hasPrefix(#"job.batch "\#(name)" deleted"#), "\(cascade)")
            let gone = try await world.kubectl("get", "job", name, "-n", "team", status: 1)
            #expect(gone == "Error from server (NotFound): jobs.batch \"\(name)\" not found\n")
        }
        let deleting = try world.start("deleting", ["delete", "namespace", "team"])
        try await world.kubectl("wait", "--for=delete", "namespace/team", "--timeout=30s")
        #expect(await deleting.exit(within: .seconds(60)) == .status(0))
        #expect(deleting.output.hasPrefix(#"namespace "team" deleted"#))
    }

    @Test(arguments: Kubectl.paths)
    func `applies, compares, waits, watches and lists events`(program: String) async throws {
        let world = try await KubectlWorld(options: ["--no-operator"], program: program)
        let file = try world.write("map.yaml", map("1"))
        #expect(try await world.kubectl("apply", "-f", file) == "configmap/m created\n")
        #expect(try await world.kubectl("apply", "-f", file) == "configmap/m unchanged\n")
        let other = try world.write("other.yaml", map("2"))
        let difference = try await world.kubectl("diff", "-f", other, status: 1)
        #expect(difference.contains("-  a: \"1\"\n+  a: \"2\"\n"))
        #expect(try await world.kubectl("apply", "-f", other) == "configmap/m configured\n")
        #expect(try await world.kubectl("diff", "-f", other) == "")
        #expect(
            try await world.kubectl("apply", "--server-side", "--force-conflicts", "-f", file)
                == "configmap/m serverside-applied\n")
        #expect(
            try await world.kubectl("wait", "configmap/m", "--for=jsonpath={.data.a}=1", "--timeout=20s")
                == "configmap/m condition met\n")
        let watching = try world.start("watch", ["get", "configmap", "m", "-w", "-o", "jsonpath={.data.a}{\"\\n\"}"])
        #expect(await until(.seconds(60)) { watching.output == "1\n" })
        try await world.kubectl("apply", "-f", other)
        #expect(await until(.seconds(60)) { watching.output == "1\n2\n" }, "\(watching.output)")
        await watching.process.stop(grace: .seconds(1))
        try await events(world)
        try await documents(world)
        await world.end()
    }

    private func map(_ value: String) -> String {
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: m}\ndata: {a: \"\(value)\"}\n"
    }

    private func events(_ world: KubectlWorld) async throws {
        try await world.kubectl(
            "create", "-f",
            try world.write(
                "event.yaml",
                """
                apiVersion: events.k8s.io/v1
                kind: Event
                metadata: {name: m.1, namespace: default}
                regarding: {apiVersion: v1, kind: ConfigMap, name: m, namespace: default}
                reason: Changed
                action: Change
                note: it was changed
                type: Normal
                reportingController: example.dev/test
                reportingInstance: test-1
                eventTime: "2026-01-01T00:00:00.000000Z"
                """))
        let listed = try await world.kubectl("get", "events").split(separator: "\n")
        #expect(listed.first?.split(separator: " ") == ["LAST", "SEEN", "TYPE", "REASON", "OBJECT", "MESSAGE"])
        #expect(listed.last?.contains(/Normal\s+Changed\s+configmap\/m\s+it was changed/) == true)
        let told = try await world.kubectl("events", "--for", "configmap/m")
        #expect(told.contains(/Normal\s+Changed\s+ConfigMap\/m\s+it was changed/))
    }

    private func documents(_ world: KubectlWorld) async throws {
        #expect(try await world.kubectl("explain", "job.spec.parallelism").contains("FIELD: parallelism <integer>"))
        #expect(try await world.kubectl("api-resources", "-o", "name").split(separator: "\n").contains("jobs.batch"))
        #expect(try await world.kubectl("api-versions").split(separator: "\n").contains("trainyard.dev/v1alpha1"))
        let yaml = try await world.kubectl("get", "configmap", "m", "-o", "yaml")
        #expect(yaml.hasPrefix("apiVersion: v1\ndata:\n  a: \"2\"\nkind: ConfigMap\nmetadata:\n"))
        let wide = try await world.kubectl("get", "ns", "default", "-o", "wide").split(separator: "\n")
        #expect(wide.first?.split(separator: " ") == ["NAME", "STATUS", "AGE"])
        let missing = try await world.kubectl("get", "gadgets", status: 1)
        #expect(missing == "error: the server doesn't have a resource type \"gadgets\"\n")
    }
}

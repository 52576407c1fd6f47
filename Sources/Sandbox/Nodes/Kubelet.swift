import Encoding
import Glibc

/// Runs the pods of every simulated node. Probes are not run: a container is ready while it runs.
actor Kubelet {
    /// A machine that is reclaimed gives its pods at most this long (GKE: 15 s of the 30 s notice).
    private static let shutdownGraceSeconds: Int64 = 15
    /// A container's log is cut beyond this; one older file of the same size stays beside it.
    private static let logLimitBytes = 16 << 20

    private var starter: ContainerStarter
    private var runs: [String: PodRun] = [:]

    init(starter: ContainerStarter) { self.starter = starter }

    /// Sets what is added to every container's environment from now on.
    func setEnvironment(_ environment: [String: String]) {
        starter = ContainerStarter(
            images: starter.images, stateDirectory: starter.stateDirectory, cloud: starter.cloud,
            cluster: starter.cluster, environment: environment, addresses: starter.addresses)
    }

    /// Moves every pod on as far as it can go now. One call at a time.
    func sync(pods: [PodView], nodes: [NodeView], now: Timestamp) async -> ClusterChanges {
        let nodesByName = Dictionary(nodes.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
        var changes = ClusterChanges()
        var present: Set<String> = []
        starter.addresses.keep(pods)
        for pod in pods {
            guard let nodeName = pod.nodeName, let node = nodesByName[nodeName] else { continue }
            present.insert(pod.uid)
            changes.append(await sync(pod, on: node, now: now))
        }
        for (uid, run) in runs where !present.contains(uid) {
            // The pod was removed by force, or its machine is gone.
            for container in run.containers { await container.running?.kill(now: now) }
            runs[uid] = nil
        }
        return changes
    }

    private func sync(_ pod: PodView, on node: NodeView, now: Timestamp) async -> ClusterChanges {
        if pod.isTerminal {
            runs[pod.uid] = nil
            guard pod.isDeleting else { return ClusterChanges() }
            return ClusterChanges(writes: [.delete(ClusterPath.pod(pod), uid: pod.uid, graceSeconds: 0)])
        }
        var run = runs[pod.uid] ?? PodRun(pod: pod, now: now)
        var changes = ClusterChanges()
        let policy = RestartPolicy(rawValue: pod.restartPolicy) ?? .always
        if pod.isDeleting || node.isShuttingDown {
            if run.stop == nil { changes.events += killing(run, pod) }
            let grace = pod.isDeleting ? pod.graceSeconds : min(pod.graceSeconds, Kubelet.shutdownGraceSeconds)
            await run.beginStop(pod.isDeleting ? .deleted : .nodeShutdown, graceSeconds: grace, now: now)
        }
        await run.poll(policy: policy, now: now)
        addLogTails(&run, pod)
        for index in run.startable(now: now) {
            changes.events += await start(index, of: &run, pod: pod, policy: policy, now: now)
        }
        runs[pod.uid] = run
        rotateLogs(run, pod)
        let status = PodStatus.status(of: run, pod: pod, now: now)
        if status != pod.status {
            changes.writes.append(.merge(ClusterPath.pod(pod) + ["status"], ["status": status]))
        }
        return changes
    }

    private func start(
        _ index: Int, of run: inout PodRun, pod: PodView, policy: RestartPolicy, now: Timestamp
    ) async -> [ClusterEvent] {
        var container = run.containers[index]
        do throws(ContainerStarter.Failure) {
            let process = try await starter.start(
                container.spec, of: pod, restartCount: container.restartCount, now: now)
            container.state = .running(process, since: now)
            container.failedStarts = 0
            run.containers[index] = container
            return [
                event(pod, "Pulled", "Container image \"\(container.image)\" already present on machine"),
                event(pod, "Created", "Created container: \(container.name)"),
                event(pod, "Started", "Started container \(container.name)"),
            ]
        } catch {
            container.failedStarts += 1
            let delay = min(300, 10 << min(container.failedStarts - 1, 5))
            container.notBefore = now + .seconds(delay)
            run.containers[index] = container
            switch error {
            case .image(let message):
                let reason = container.failedStarts == 1 ? "ErrImagePull" : "ImagePullBackOff"
                run.containers[index].state = .waiting(reason: reason, message: message)
                return [event(pod, "Failed", message, isWarning: true)]
            case .configuration(let message):
                run.containers[index].state = .waiting(reason: "CreateContainerConfigError", message: message)
                return [event(pod, "Failed", "Error: \(message)", isWarning: true)]
            case .start(let message):
                run.failedToStart(index, message, policy: policy, now: now)
                return [event(pod, "Failed", "Error: \(message)", isWarning: true)]
            }
        }
    }

    private func killing(_ run: PodRun, _ pod: PodView) -> [ClusterEvent] {
        run.containers.filter { $0.running != nil }.map { event(pod, "Killing", "Stopping container \($0.name)") }
    }

    private func event(
        _ pod: PodView, _ reason: String, _ message: String, isWarning: Bool = false
    ) -> ClusterEvent {
        ClusterEvent(
            about: pod.reference, isWarning: isWarning, reason: reason, message: message, component: "kubelet",
            host: pod.nodeName)
    }

    /// `terminationMessagePolicy: FallbackToLogsOnError`: the last 80 lines, at most 2 KiB.
    private func addLogTails(_ run: inout PodRun, _ pod: PodView) {
        let folder = PodFolder(stateDirectory: starter.stateDirectory, pod: pod)
        for index in run.containers.indices {
            let container = run.containers[index]
            guard var termination = container.termination, termination.message == nil,
                termination.outcome.exitCode != 0,
                container.spec["terminationMessagePolicy"]?.stringValue == "FallbackToLogsOnError"
            else { continue }
            let path = folder.logPath(container: container.name, restartCount: container.restartCount)
            termination.message = PodLogText.tail(of: path, lines: 80, limitBytes: 2048)
            run.containers[index].state = .terminated(termination)
        }
    }

    private func rotateLogs(_ run: PodRun, _ pod: PodView) {
        let folder = PodFolder(stateDirectory: starter.stateDirectory, pod: pod)
        for container in run.containers where container.running != nil {
            LocalFiles.rotate(
                folder.logPath(container: container.name, restartCount: container.restartCount),
                limit: Kubelet.logLimitBytes)
        }
    }

    /// Ends every container: SIGTERM, two seconds later SIGKILL to its group, and one second for the kernel.
    func stop(now: Timestamp) async {
        let running = runs.values.flatMap { $0.containers.compactMap(\.running) }
        runs = [:]
        for container in running { await container.terminate(now: now) }
        await Kubelet.wait(for: running, atMost: .seconds(2), now: now)
        for container in running { await container.kill(now: now) }
        await Kubelet.wait(for: running, atMost: .seconds(1), now: now)
    }

    private static func wait(for running: [any RunningContainer], atMost limit: Duration, now: Timestamp) async {
        let deadline = ContinuousClock.now + limit
        for container in running {
            while await container.poll(now: now) == nil, container is LocalProcess, ContinuousClock.now < deadline {
                usleep(5000)  // Not Task.sleep: a cancelled caller still has to see its processes end.
            }
        }
    }
}

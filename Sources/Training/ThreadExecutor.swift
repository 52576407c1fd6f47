import Glibc
import TrainingContract

/// Runs an actor's jobs on a thread of its own: training blocks for minutes, which a cooperative thread must not.
final class ThreadExecutor: SerialExecutor {
    private let queue = JobQueue()

    /// - Throws: `.unsupportedMachine` when the system gives no thread.
    init() throws(TrainingError) {
        var thread = pthread_t()
        let argument = Unmanaged.passRetained(queue)
        let status = pthread_create(&thread, nil, executorMain, argument.toOpaque())
        guard status == 0 else {
            argument.release()
            throw TrainingError(.unsupportedMachine, "the system gives no thread for training: its limit is reached")
        }
        pthread_detach(thread)
    }

    deinit { queue.stop() }

    func enqueue(_ job: consuming ExecutorJob) {
        queue.append(UnownedJob(job), for: asUnownedSerialExecutor())
    }
}

/// `@unchecked Sendable`: `jobs` and `isStopped` are only touched with `mutex` held.
private final class JobQueue: @unchecked Sendable {
    private var jobs: [(job: UnownedJob, executor: UnownedSerialExecutor)] = []
    private var isStopped = false
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let changed = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)

    init() {
        pthread_mutex_init(mutex, nil)
        pthread_cond_init(changed, nil)
    }

    deinit {
        pthread_mutex_destroy(mutex)
        pthread_cond_destroy(changed)
        mutex.deallocate()
        changed.deallocate()
    }

    func append(_ job: UnownedJob, for executor: UnownedSerialExecutor) {
        pthread_mutex_lock(mutex)
        jobs.append((job, executor))
        pthread_cond_signal(changed)
        pthread_mutex_unlock(mutex)
    }

    func stop() {
        pthread_mutex_lock(mutex)
        isStopped = true
        pthread_cond_signal(changed)
        pthread_mutex_unlock(mutex)
    }

    func serve() {
        while let next = next() { next.job.runSynchronously(on: next.executor) }
    }

    private func next() -> (job: UnownedJob, executor: UnownedSerialExecutor)? {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        while jobs.isEmpty && !isStopped { pthread_cond_wait(changed, mutex) }
        return jobs.isEmpty ? nil : jobs.removeFirst()
    }
}

private func executorMain(_ argument: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    guard let argument else { return nil }
    Unmanaged<JobQueue>.fromOpaque(argument).takeRetainedValue().serve()
    return nil
}

// Child processes: started, watched, ended.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/status.h"
#include "base/time.h"

namespace kvstore::posix {

struct ProcessOptions {
    // The file of the program. The default is this program, also where its file was replaced since.
    std::string program = "/proc/self/exe";
    // What the program is called, then its arguments.
    std::vector<std::string> words;
    // Receives what it prints, behind what is there; empty: it prints where we do.
    std::string output_file;
};

// A child process. It reads nothing, and is in a process group of its own: what a terminal sends us
// (Ctrl-C) does not reach it. It is sent SIGTERM when the thread that started it ends, however that
// ends, so no child outlives its parent unasked.
//
// Lifetime  Whoever started it. Destroying kills what still runs.
// Runs on   The thread that started it.
class Process {
public:
    // Returns:  a process whose program has begun.
    // Errors:   kNotFound (no such program), kIoError; the message names the file.
    static Result<Process> start(const ProcessOptions& options);

    Process(Process&& other) noexcept
        : id_(std::exchange(other.id_, 0)), exit_code_(std::exchange(other.exit_code_, 0)) {}
    Process& operator=(Process&& other) noexcept;
    Process(const Process&) = delete;
    Process& operator=(const Process&) = delete;
    ~Process();

    [[nodiscard]] int id() const { return id_; }
    [[nodiscard]] bool is_running();
    // Nothing when it has ended.
    void send_signal(int signal);
    // Blocks until it has ended, at most `patience`. Returns: whether it has.
    bool wait_end(Duration patience);
    // Of a process that has ended: what it returned, or 128 and the signal that ended it.
    [[nodiscard]] std::optional<int> exit_code() const { return exit_code_; }

private:
    explicit Process(int id) : id_(id) {}

    // No longer ours to look at once it has ended: its number may be another's by then.
    int id_;
    std::optional<int> exit_code_;
};

}  // namespace kvstore::posix

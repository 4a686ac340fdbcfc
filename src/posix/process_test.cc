#include "posix/process.h"

#include <csignal>
#include <fstream>
#include <sstream>

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include "posix/testing/temporary_folder.h"

namespace kvstore::posix {
namespace {

using std::chrono::seconds;

constexpr Duration kPatience = seconds(30);
constexpr int kPatienceMs = 30'000;

class ChildProcess : public ::testing::Test {
protected:
    [[nodiscard]] ProcessOptions shell(const std::string& script) const {
        return {.program = "/bin/sh", .words = {"sh", "-c", script}, .output_file = output_};
    }
    [[nodiscard]] std::string printed() const {
        std::ostringstream text;
        text << std::ifstream(output_).rdbuf();
        return text.str();
    }

    TemporaryFolder folder_;
    std::string output_ = folder_.path() + "/output";
};

TEST_F(ChildProcess, TellsWhatItReturned) {
    auto child = Process::start(shell("exit 7"));
    ASSERT_TRUE(child.ok());

    EXPECT_TRUE(child->wait_end(kPatience));

    EXPECT_FALSE(child->is_running());
    EXPECT_EQ(child->exit_code(), 7);
}

TEST_F(ChildProcess, RunsUntilASignalEndsIt) {
    auto child = Process::start(shell("exec sleep 1000"));
    ASSERT_TRUE(child.ok());

    EXPECT_FALSE(child->wait_end(Duration::zero()));
    EXPECT_TRUE(child->is_running());
    EXPECT_EQ(child->exit_code(), std::nullopt);

    child->send_signal(SIGKILL);
    EXPECT_TRUE(child->wait_end(kPatience));
    EXPECT_EQ(child->exit_code(), 128 + SIGKILL);
    child->send_signal(SIGTERM);  // nobody is there to get it
}

TEST_F(ChildProcess, PrintsBehindWhatIsThereAndReadsNothing) {
    std::ofstream(output_) << "before\n";
    auto child = Process::start(shell("cat; echo out; echo err >&2"));
    ASSERT_TRUE(child.ok());

    ASSERT_TRUE(child->wait_end(kPatience));

    EXPECT_EQ(printed(), "before\nout\nerr\n");
}

TEST_F(ChildProcess, IsOutOfReachOfTheTerminalAndOfOurFiles) {
    const int ours = ::dup(STDERR_FILENO);
    auto child = Process::start(
        shell("[ -e /proc/self/fd/" + std::to_string(ours) + " ] && echo open; ps -o pgid= $$"));
    ASSERT_TRUE(child.ok());
    const int id = child->id();
    ASSERT_TRUE(child->wait_end(kPatience));
    (void)::close(ours);

    EXPECT_EQ(std::atoi(printed().c_str()), id) << printed();
}

TEST_F(ChildProcess, EndsWhenItsOwnerGoes) {
    int id = 0;
    {
        auto child = Process::start(shell("exec sleep 1000"));
        ASSERT_TRUE(child.ok());
        Process moved = *std::move(child);
        id = moved.id();
        EXPECT_EQ(::kill(id, 0), 0);
    }
    EXPECT_EQ(::kill(id, 0), -1);
}

// A parent in between starts a child, tells us its number and is killed at once. The pipe that the
// grandchild holds open ends when it does.
TEST_F(ChildProcess, EndsWhenItsParentDies) {
    int ends[2];
    ASSERT_EQ(::pipe(ends), 0);
    const pid_t parent = ::fork();
    ASSERT_GE(parent, 0);
    if (parent == 0) {
        (void)::dup2(ends[1], STDOUT_FILENO);
        (void)::close(ends[1]);
        const auto child = Process::start({.program = "/bin/sh",
                                           .words = {"sh", "-c", "echo up; exec sleep 1000"},
                                           .output_file = ""});
        (void)::pause();
        ::_exit(child.ok() ? 0 : 1);
    }
    (void)::close(ends[1]);
    char text[8];
    ASSERT_EQ(::read(ends[0], text, sizeof text), 3) << "the child did not begin";

    ASSERT_EQ(::kill(parent, SIGKILL), 0);
    ASSERT_EQ(::waitpid(parent, nullptr, 0), parent);

    pollfd ended{.fd = ends[0], .events = POLLIN, .revents = 0};
    ASSERT_EQ(::poll(&ended, 1, kPatienceMs), 1) << "the child runs on";
    EXPECT_EQ(::read(ends[0], text, sizeof text), 0);
    (void)::close(ends[0]);
}

TEST_F(ChildProcess, ThatCannotBeStartedIsAnErrorWithItsName) {
    const auto missing =
        Process::start({.program = folder_.path() + "/nothing", .words = {"x"}, .output_file = ""});
    EXPECT_EQ(missing.status().code(), Code::kNotFound);
    EXPECT_NE(missing.status().message().find("/nothing"), std::string_view::npos);

    const auto folder =
        Process::start({.program = folder_.path(), .words = {"x"}, .output_file = ""});
    EXPECT_EQ(folder.status().code(), Code::kIoError);

    ProcessOptions unwritable = shell("exit 0");
    unwritable.output_file = folder_.path() + "/no/such/folder";
    EXPECT_EQ(Process::start(unwritable).status().code(), Code::kNotFound);
}

}  // namespace
}  // namespace kvstore::posix

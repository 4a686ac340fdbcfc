// LCS: the longest common subsequence of two strings.
#include <algorithm>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "base/parse.h"
#include "frontend/resp/internal/arguments.h"
#include "frontend/resp/internal/commands.h"

namespace kvstore::resp {
namespace {

// Of the table below, as in Redis (proto-max-bulk-len).
constexpr std::uint64_t kTableBytesMax = 512ULL << 20U;

struct LcsOptions {
    bool wants_length = false;
    bool wants_places = false;
    bool wants_match_lengths = false;
    std::int64_t match_length_min = 0;
};

// Lengths of the longest common subsequences of all pairs of prefixes.
class LcsTable {
public:
    LcsTable(ByteView a, ByteView b) : width_(b.size() + 1), cells_((a.size() + 1) * width_) {
        for (std::size_t i = 1; i <= a.size(); ++i) {
            for (std::size_t j = 1; j <= b.size(); ++j) {
                cells_[(i * width_) + j] = a[i - 1] == b[j - 1]
                                               ? at(i - 1, j - 1) + 1
                                               : std::max(at(i - 1, j), at(i, j - 1));
            }
        }
    }
    [[nodiscard]] std::uint32_t at(std::size_t i, std::size_t j) const {
        return cells_[(i * width_) + j];
    }

private:
    std::size_t width_;
    std::vector<std::uint32_t> cells_;
};

// Stretches that are equal in both, from the end to the beginning, places inclusive.
struct Match {
    std::size_t a_first;
    std::size_t a_last;
    std::size_t b_first;
    std::size_t b_last;
    [[nodiscard]] std::size_t length() const { return a_last - a_first + 1; }
};

struct Common {
    std::string text;
    std::vector<Match> matches;
};

Common trace_back(const LcsTable& table, ByteView a, ByteView b) {
    Common common;
    std::optional<Match> match;
    std::size_t i = a.size();
    std::size_t j = b.size();
    const auto end_match = [&] {
        if (match) {
            common.matches.push_back(*match);
            match.reset();
        }
    };
    while (i > 0 && j > 0) {
        if (a[i - 1] != b[j - 1]) {
            if (table.at(i - 1, j) > table.at(i, j - 1)) {
                --i;
            } else {
                --j;
            }
            end_match();
            continue;
        }
        --i;
        --j;
        common.text.push_back(a[i]);
        if (match && match->a_first == i + 1 && match->b_first == j + 1) {
            match->a_first = i;
            match->b_first = j;
        } else {
            end_match();
            match = Match{.a_first = i, .a_last = i, .b_first = j, .b_last = j};
        }
    }
    end_match();
    std::ranges::reverse(common.text);
    return common;
}

// False: the error was replied.
bool take_options(Call& call, LcsOptions& options) {
    for (std::size_t at = 3; at < call.size(); ++at) {
        const std::string word = lower_case(call[at]);
        if (word == "idx") {
            options.wants_places = true;
        } else if (word == "len") {
            options.wants_length = true;
        } else if (word == "withmatchlen") {
            options.wants_match_lengths = true;
        } else if (word == "minmatchlen" && at + 1 < call.size()) {
            const auto length = parse_int64(call[++at]);
            if (!length) {
                call.fail(kNotAnInteger);
                return false;
            }
            options.match_length_min = std::max<std::int64_t>(*length, 0);
        } else {
            call.syntax_error();
            return false;
        }
    }
    if (options.wants_length && options.wants_places) {
        call.fail("ERR If you want both the length and indexes, please just use IDX.");
        return false;
    }
    return true;
}

void reply_places(ReplyWriter& reply, const Common& common, const LcsOptions& options) {
    const auto is_shown = [&](const Match& match) {
        return static_cast<std::int64_t>(match.length()) >= options.match_length_min;
    };
    reply.map(2);
    reply.bulk("matches");
    reply.array(static_cast<std::size_t>(std::ranges::count_if(common.matches, is_shown)));
    for (const Match& match : common.matches) {
        if (!is_shown(match)) {
            continue;
        }
        reply.array(options.wants_match_lengths ? 3 : 2);
        reply.array(2);
        reply.integer(static_cast<std::int64_t>(match.a_first));
        reply.integer(static_cast<std::int64_t>(match.a_last));
        reply.array(2);
        reply.integer(static_cast<std::int64_t>(match.b_first));
        reply.integer(static_cast<std::int64_t>(match.b_last));
        if (options.wants_match_lengths) {
            reply.integer(static_cast<std::int64_t>(match.length()));
        }
    }
    reply.bulk("len");
    reply.integer(static_cast<std::int64_t>(common.text.size()));
}

}  // namespace

Outcome lcs_command(Call& call) {
    mvcc::Record first;
    mvcc::Record second;
    const storage::Lookup found = call.find(0, call[1], &first);
    // The first view ends with the second look-up.
    const Bytes a(found == storage::Lookup::kFound ? first.value : ByteView());
    const storage::Lookup also_found = call.find(1, call[2], &second);
    if (found == storage::Lookup::kMustLoad || also_found == storage::Lookup::kMustLoad) {
        return Outcome::kMustLoad;
    }
    const ByteView b = also_found == storage::Lookup::kFound ? second.value : ByteView();
    LcsOptions options;
    if (!take_options(call, options)) {
        return Outcome::kReplied;
    }
    if ((a.size() + 1) > kTableBytesMax / sizeof(std::uint32_t) / (b.size() + 1)) {
        return call.fail(
            "ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len");
    }
    const LcsTable table(a, b);
    if (options.wants_length) {
        return call.integer(table.at(a.size(), b.size()));
    }
    const Common common = trace_back(table, a, b);
    if (options.wants_places) {
        reply_places(call.reply(), common, options);
    } else {
        call.reply().bulk(common.text);
    }
    return Outcome::kReplied;
}

}  // namespace kvstore::resp

// The first frame of a connection between nodes, in each direction: who I am, and whom I think I am
// talking to.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "base/bytes.h"
#include "base/id.h"
#include "base/status.h"

namespace kvstore::wire {

// Version N talks to N - 1; a change of any message raises it (docs/internals/wire.md).
inline constexpr std::uint32_t kProtocolVersion = 1;
inline constexpr std::uint32_t kProtocolVersionMin = 1;

// Lengths of the texts in a Hello that are accepted.
inline constexpr std::size_t kHelloTextMax = 512;

struct Hello {
    std::uint32_t version = kProtocolVersion;
    std::uint32_t version_min = kProtocolVersionMin;
    std::uint64_t cluster = 0;  // 0: belongs to none yet
    NodeId node{};              // 0: has no number in the cluster yet
    std::uint64_t store = 0;    // drawn when the data directory was made; a wiped node has another
    std::uint64_t incarnation = 0;  // rises with every start
    NodeId target{};                // who should answer; 0: whoever it is
    std::string name{};             // as its owner called it (--id)
    std::string address{};          // where it listens for peers, as others reach it
};

void encode_hello(const Hello& hello, Bytes& to);
// Errors: kCorruption: no hello of any version we know how to read.
Result<Hello> decode_hello(ByteView bytes);

// The version that both ends speak: the lower of the two highest.
// Errors: kUnimplemented with both ranges when there is none.
Result<std::uint32_t> agree_on_version(const Hello& mine, const Hello& theirs);

}  // namespace kvstore::wire

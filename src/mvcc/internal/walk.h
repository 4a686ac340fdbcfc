// Records of a key range in order, as they are now or as they were.
#pragma once

#include <memory>

#include "base/bytes.h"
#include "base/status.h"
#include "mvcc/record.h"
#include "mvcc/shard.h"
#include "storage/engine.h"

namespace kvstore::mvcc::internal {

// Lifetime  Within the view and the request that it was made for.
class Walk {
public:
    virtual ~Walk() = default;

    // To the next record that the request shows. False at the end.
    // Errors: kCorruption, kIoError.
    virtual Result<bool> advance() = 0;

    // Requires: the last advance() was true. The views last until the next.
    [[nodiscard]] virtual ByteView key() const = 0;
    [[nodiscard]] virtual const Record& record() const = 0;
};

[[nodiscard]] std::unique_ptr<Walk> walk_current(storage::View& view, const ScanRequest& request);
// As of request.as_of. Requires: it is retained.
[[nodiscard]] std::unique_ptr<Walk> walk_past(storage::View& view, const ScanRequest& request);

}  // namespace kvstore::mvcc::internal

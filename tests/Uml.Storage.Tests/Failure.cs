using Uml.Storage.Blocks;

namespace Uml.Storage.Tests;

/// <summary>Requests that have to fail.</summary>
internal static class Failure
{
    public static async Task<BlockIOException> OfAsync(Func<ValueTask> request) => (await Assert.ThrowsAsync<BlockIOException>(async () => await request()))!;
}

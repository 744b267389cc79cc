using Uml.Storage.Blocks;
using Uml.Storage.Nbd.Protocol;

namespace Uml.Storage.Nbd.Client;

/// <summary>What went wrong with a request, in words.</summary>
internal static class NbdFailure
{
    public static BlockIOException OfServer(NbdEndPoint end, NbdRequest request) => new(
        $"{Describe(request)} of {end} failed: {NbdErrors.Describe(request.Error)}{(request.ErrorText.Length > 0 ? $"; it says: {request.ErrorText}" : "")}.",
        NbdErrors.ToBlockError(request.Error));

    public static BlockIOException OfConnection(NbdEndPoint end, NbdRequest request, string reason) => new(
        $"{Describe(request)} of {end} was not answered: {reason}.", BlockError.Gone);

    public static BlockIOException OfFlush(NbdEndPoint end, BlockIOException failure) =>
        new($"What was written to {end} since the last flush may be lost: {failure.Message}", failure.Error);

    private static string Describe(NbdRequest request) =>
        request.Command == NbdCommand.Flush ? "A flush" : $"{request.Command} of {request.Length} bytes at {request.Offset}";
}

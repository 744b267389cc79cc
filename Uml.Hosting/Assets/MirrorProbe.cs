using System.Net.Sockets;

namespace Uml.Hosting.Assets;

/// <summary>Finds out in a second or two that there is no way to any archive, for which apt, and the resolver below it, take minutes.</summary>
/// <param name="runner">What connects.</param>
/// <param name="timeout">How long an archive may take to accept a connection.</param>
internal sealed class MirrorProbe(ICommandRunner runner, TimeSpan timeout)
{
    private static readonly string[] _proxyVariables = ["http_proxy", "https_proxy", "all_proxy"];

    /// <summary>Connects to archives and proxies until one answers.</summary>
    /// <param name="archives">The archives' addresses.</param>
    /// <param name="settings">The output of <c>apt-config dump</c>, which may name proxies.</param>
    /// <param name="cancellationToken">Ends the work.</param>
    /// <returns>Why none can be reached; null when one can, and when apt reaches some by means that cannot be probed.</returns>
    public async Task<string?> FindSilenceAsync(IEnumerable<string> archives, string settings, CancellationToken cancellationToken)
    {
        HashSet<(string Host, int Port)> places = [];
        foreach (string address in archives.Concat(ReadProxies(settings)))
        {
            if (!Uri.TryCreate(address, UriKind.Absolute, out Uri? uri) || uri.Scheme is not ("http" or "https") || uri.Host.Length == 0)
            {
                return null;
            }

            places.Add((uri.Host, uri.Port));
        }

        using CancellationTokenSource limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(timeout);
        List<Task<string?>> attempts = [.. places.Select(place => TryAsync(place.Host, place.Port, limit.Token))];
        await foreach (Task<string?> attempt in Task.WhenEach(attempts).ConfigureAwait(false))
        {
            if (await attempt.ConfigureAwait(false) is null)
            {
                await limit.CancelAsync().ConfigureAwait(false);
                return null;
            }
        }

        cancellationToken.ThrowIfCancellationRequested();
        string?[] reasons = await Task.WhenAll(attempts).ConfigureAwait(false);
        return reasons.Length == 0 ? null : string.Join("; ", reasons);
    }

    private async Task<string?> TryAsync(string host, int port, CancellationToken limit)
    {
        try
        {
            await runner.ConnectAsync(host, port, limit).ConfigureAwait(false);
            return null;
        }
        catch (SocketException e)
        {
            return $"{host}: {e.Message}";
        }
        catch (OperationCanceledException)
        {
            return $"{host}: no answer within {timeout.TotalSeconds} s";
        }
    }

    // apt.conf(5): Acquire::http::Proxy, also followed by ::host. "auto" stands for the unknown result of a Proxy-Auto-Detect program.
    private static IEnumerable<string> ReadProxies(string settings)
    {
        foreach (string line in settings.Split('\n'))
        {
            string[] parts = line.Split(' ', 2);
            string value = parts[^1].Trim('"', ';', ' ');
            bool isProxy = parts[0].StartsWith("Acquire::http", StringComparison.OrdinalIgnoreCase) && parts[0].Contains("::Proxy", StringComparison.OrdinalIgnoreCase);
            if (isProxy && value.Length != 0 && value != "DIRECT")
            {
                yield return parts[0].Contains("Auto", StringComparison.OrdinalIgnoreCase) ? "auto" : value;
            }
        }

        foreach (string variable in _proxyVariables)
        {
            if (Environment.GetEnvironmentVariable(variable) is { Length: > 0 } proxy)
            {
                yield return proxy;
            }
        }
    }
}

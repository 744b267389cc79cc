using System.Net;
using System.Net.NetworkInformation;
using Uml.Net.Packets;
using Uml.Net.UserNet.Dns;

namespace Uml.Net.UserNet;

/// <summary>Names: those of the host and of guests, which the network knows, and others, which the host's servers are asked for.</summary>
internal sealed class NameService(NetworkStack stack)
{
    /// <summary>Addresses whose names are remembered, and names of one. A limit of ours.</summary>
    private const int MaximumAddresses = 4096, MaximumNames = 16, MaximumAnswers = 64;

    /// <summary>The host's servers may be others soon: a laptop moves.</summary>
    private const int ServersAge = 30_000;

    private readonly Dictionary<InternetAddress, List<string>> _names = [];
    private readonly bool _remembersNames = stack.Options.Policy.Allowed.Any(rule => rule.Name is not null);
    private IReadOnlyList<IPEndPoint> _servers = stack.Options.NameServers ?? [];
    private long _serversAt = long.MinValue;
    private int _server;

    /// <summary>The names that guests were told an address for.</summary>
    public IReadOnlyList<string> FindNames(InternetAddress address) => _names.TryGetValue(address, out List<string>? names) ? names : [];

    /// <summary>Answers a question that the network can answer itself.</summary>
    /// <param name="message">What a guest has sent.</param>
    /// <param name="answer">The answer.</param>
    /// <returns>False when somebody outside has to be asked.</returns>
    public bool TryAnswer(ReadOnlySpan<byte> message, DnsQuestion question, out byte[] answer)
    {
        string name = question.Name.TrimEnd('.');
        string suffix = "." + stack.Options.Domain;
        bool isLocal = name.EndsWith(suffix, StringComparison.OrdinalIgnoreCase);
        string label = isLocal ? name[..^suffix.Length] : name;
        if (!isLocal && label.Contains('.', StringComparison.Ordinal))
        {
            bool isForbidden = !stack.Options.Policy.AllowsName(name);
            answer = isForbidden ? DnsMessage.Answer(message, question, DnsCode.NoSuchName, []) : [];
            return isForbidden;
        }

        // A name without points means nothing outside.
        List<InternetAddress>? addresses = Find(label, question.Type == DnsMessage.AddressType6);
        bool isAddress = question.Type is DnsMessage.AddressType or DnsMessage.AddressType6;
        answer = DnsMessage.Answer(message, question, addresses is null ? DnsCode.NoSuchName : DnsCode.None, isAddress && addresses is not null ? [.. addresses] : []);
        return true;
    }

    /// <summary>Remembers the names of an answer from outside, where the policy knows names.</summary>
    /// <returns>False when it is none.</returns>
    public bool TakeAnswer(ReadOnlySpan<byte> message)
    {
        if (!DnsMessage.IsResponse(message))
        {
            return false;
        }

        if (_remembersNames && DnsMessage.TryReadQuestion(message, out DnsQuestion question))
        {
            foreach (InternetAddress address in DnsMessage.ReadAddresses(message, question, MaximumAnswers))
            {
                Remember(address, question.Name);
            }
        }

        return true;
    }

    /// <summary>A server outside.</summary>
    /// <param name="isAnother">Whether the one before does not answer.</param>
    /// <returns>Null when there is none, or the policy allows none.</returns>
    public IPEndPoint? GetServer(bool isAnother = false)
    {
        if (stack.Options.NameServers is null && (_serversAt == long.MinValue || stack.Now - _serversAt >= ServersAge))
        {
            (_servers, _serversAt) = (ReadServers(), stack.Now);
        }

        _server += isAnother ? 1 : 0;
        return _servers.Count == 0 || !stack.Options.Policy.AllowsOutbound ? null : _servers[_server % _servers.Count];
    }

    private static List<IPEndPoint> ReadServers() => [.. NetworkInterface.GetAllNetworkInterfaces()
        .SelectMany(network => network.GetIPProperties().DnsAddresses)
        .Distinct()
        .Select(address => new IPEndPoint(address, DnsMessage.Port))];

    private List<InternetAddress>? Find(string label, bool isIp6)
    {
        StackAddresses addresses = stack.Addresses;
        if (DnsName.AreEqual(label, stack.Options.HostName))
        {
            return !isIp6 ? [addresses.Gateway] : addresses.HasIp6 ? [addresses.Gateway6] : [];
        }

        return stack.Dhcp.Leases.FindName(label, stack.Now) is { } lease
            ? isIp6 ? [.. stack.Neighbours.FindIp6(lease.Mac)] : [new InternetAddress(lease.Address)]
            : null;
    }

    private void Remember(InternetAddress address, string name)
    {
        if (!_names.TryGetValue(address, out List<string>? names))
        {
            if (_names.Count == MaximumAddresses)
            {
                _names.Remove(_names.Keys.First());
            }

            _names.Add(address, names = []);
        }

        if (!names.Contains(name))
        {
            if (names.Count == MaximumNames)
            {
                names.RemoveAt(0);
            }

            names.Add(name);
        }
    }
}

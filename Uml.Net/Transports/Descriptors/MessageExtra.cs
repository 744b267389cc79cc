namespace Uml.Net.Transports.Descriptors;

/// <summary>What the host tells of a message that is received.</summary>
internal enum MessageExtra
{
    /// <summary>Nothing.</summary>
    None,

    /// <summary>Who sent it: the socket's address.</summary>
    Source,

    /// <summary>Control messages (cmsg(3)).</summary>
    Control,
}

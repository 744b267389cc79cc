namespace Uml.Differential.Tests.Native;

/// <summary>Who made a processor: what manuals leave to the processor is the same within each of these, as far as it has been seen.</summary>
internal enum ProcessorVendor
{
    /// <summary>None whose choices are known, or an engine that follows the model on every host.</summary>
    None,
    Intel,
    Amd,
}
